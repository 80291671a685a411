"""A linear head: the closed form, the way through time and gradient descent must say the same of every feature."""

import pytest
import torch

from sslwork.seeds import generator
from sslwork.toys import head_theory as theory

ALPHA = (1, 0.64, 0.25, 0.04)
ONES = (1, 1, 1, 1)
STRENGTHS = (4, 1, 0.25, 0.0625)


def close(a, b, atol=1e-3):
    torch.testing.assert_close(a, torch.as_tensor(b, dtype=torch.double), atol=atol, rtol=0)


@pytest.mark.parametrize(
    ("alpha", "variance", "before", "after"),
    [(ALPHA, ONES, (1, 0.894, 0.707, 0.447), (1, 0.8, 0.5, 0.2)), (ONES, STRENGTHS, (1.414, 1, 0.707, 0.5), ONES)],
)  # fmt: skip
def test_known_weights_and_gradient_descent(alpha, variance, before, after):
    weights = theory.descend(alpha, variance, lr=0.05 / max(variance) if max(variance) > 1 else 0.05)
    for layer, wanted in enumerate((torch.tensor(variance).sqrt(), before, after)):
        close(theory.feature_weights(alpha, variance, layer=layer), wanted)
        close(theory.measured_weights(weights, variance, layer=layer), wanted)
    w1, w2 = weights
    torch.testing.assert_close(w1 @ w1.T, w2.T @ w2, atol=1e-12, rtol=0)  # still balanced
    a, v = (torch.tensor(each, dtype=torch.double) for each in (alpha, variance))
    close(theory.spectral_loss(w2 @ w1, a, v), -float(a.square().sum()), atol=1e-4)


def test_the_loss_is_the_expectation_over_the_data():
    draw = generator(0)
    a, v = torch.tensor([0.9, 0.3]).double(), torch.tensor([1.0, 0.5]).double()
    m = torch.randn(2, 2, generator=draw, dtype=torch.double)
    shared, first, second = torch.randn(3, 400_000, 2, generator=draw, dtype=torch.double)
    x1, x2 = (v.sqrt() * (a.sqrt() * shared + (1 - a).sqrt() * own) for own in (first, second))
    z1, z2 = x1 @ m.T, x2 @ m.T
    by_data = -2 * (z1 * z2).sum(1).mean() + (z1 * z1.roll(1, 0)).sum(1).square().mean()
    close(theory.spectral_loss(m, a, v), by_data, atol=0.05)


def test_a_narrow_head_keeps_what_the_views_keep_not_what_is_strong():
    alpha, variance = (0.9, 0.5, 0.7, 0), (1, 4, 1, 0.25)
    weights = theory.descend(alpha, variance, outputs=2, lr=0.02)
    close(theory.measured_weights(weights, variance, layer=2), (0.949, 0, 0.837, 0))
    close(theory.feature_weights(alpha, variance, layer=2, outputs=2), (0.949, 0, 0.837, 0))
    close(theory.measured_weights(weights, variance, layer=1), (0.974, 0, 0.915, 0), atol=5e-3)
    close(weights[0] @ weights[0].T, weights[1].T @ weights[1], atol=5e-3)


def test_descent_leaves_more_of_a_destroyed_feature_before_the_head():
    weights = theory.descend((0, 0), (1, 1))  # 3000 steps of 0.05: time 150
    for layer, wanted in ((1, 0.242), (2, 0.059)):
        close(theory.measured_weights(weights, (1, 1), layer=layer), (wanted, wanted))


def test_weights_grow_more_unequal_layer_by_layer():
    alpha, variance = (1, 0.64, 0.25), (1, 0.5, 1)
    weights = theory.descend(alpha, variance, layers=3, init=0.5)
    for layer in range(4):
        wanted = theory.feature_weights(alpha, variance, layer=layer, layers=3)
        close(theory.measured_weights(weights, variance, layer=layer), wanted)


def test_before_the_head_is_better_for_what_is_strong_and_disrupted():
    draw = generator(1)
    for alpha, variance in torch.rand(50, 2, 2, generator=draw, dtype=torch.double) + 1e-3:
        before, after = (
            theory.feature_weights(alpha.clamp(max=1), variance, layer=layer) for layer in (1, 2)
        )
        ratio = variance / alpha.clamp(max=1)
        assert (before[0] / before[1] > after[0] / after[1]) == (ratio[0] > ratio[1])


def test_without_a_head_there_is_no_before_and_after():
    weights = theory.descend(ALPHA, ONES, head=torch.eye(4))
    close(theory.measured_weights(weights, ONES, layer=1), (1, 0.8, 0.5, 0.2))
    reweighted = theory.descend(ALPHA, ONES, head=torch.diag(1.1 ** -torch.arange(4.0)))
    close(theory.measured_weights(reweighted, ONES, layer=2), (1, 0.8, 0.5, 0.2))
    before = theory.measured_weights(reweighted, ONES, layer=1)
    assert before[3] / before[0] > 0.2 / 1, "a re-weighting head leaves the weights more even before it"


def test_flow_is_gradient_descent_and_the_law_of_a_destroyed_feature():
    times = torch.tensor([0.0, 4.0, 15.0, 150.0])
    w = theory.flow((1, 0.25, 0), (1, 1, 1), times, init=0.3)
    close(w[:, 2], (0.3**-6 + 24 * times.double()) ** (-1 / 6), atol=1e-6)
    close(w[-1], (1, 0.25**0.25, 0.242))
    for t, row in zip((4.0, 15.0), w[1:3], strict=True):
        matrices = theory.descend((1, 0.25, 0), (1, 1, 1), steps=round(t / 0.05), init=0.3)
        close(theory.measured_weights(matrices, (1, 1, 1), layer=1), row, atol=0.02)


def test_strong_invariant_features_escape_first():
    alpha, variance, init = torch.tensor([1, 0.5, 0.25]), torch.ones(3), 0.05
    escape = 1 / (8 * alpha * variance * init**2)
    w = theory.flow(alpha, variance, escape.flip(0).sort().values, init=init)  # at each one's own time
    for i in range(3):
        assert w[i, i] > 0.3 and bool((w[i, i + 1 :] < 0.15).all())


def test_weight_decay_takes_what_the_head_had_spared():
    decayed = theory.descend((1, 0), (1, 1), weight_decay=0.01, steps=2000)
    spared = (0.3**-6 + 24 * 100) ** (-1 / 6)  # without decay, after as long
    assert theory.measured_weights(decayed, (1, 1), layer=1)[1] < spared / 2


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: theory.feature_weights([1.1], [1], layer=1), r"alpha must lie in 0\.\.1"),
        (lambda: theory.feature_weights([float("nan")], [1], layer=1), r"alpha must lie in 0\.\.1"),
        (lambda: theory.feature_weights([1], [0], layer=1), "variance must be above 0"),
        (lambda: theory.feature_weights([1, 1], [1], layer=1), "one number per feature"),
        (lambda: theory.feature_weights([1], [1], layer=3), r"layer must lie in 0\.\.layers"),
        (lambda: theory.descend([1, 1], [1, 1], outputs=3), r"outputs must lie in 1\.\.2"),
        (lambda: theory.flow([1], [1], torch.tensor([1.0, 0.5])), "growing"),
        (lambda: theory.flow([1], [1], torch.tensor([1.0]), init=0), "init must be"),
        (lambda: theory.measured_weights([torch.eye(2)], [1, 1], layer=2), r"layer must lie in 0\.\.1"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_a_rate_that_is_too_large_is_said():
    with pytest.raises(FloatingPointError, match="lower it"):
        theory.descend((1, 1), (4, 1), lr=1.0, steps=50)
