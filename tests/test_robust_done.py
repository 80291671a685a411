"""DONE: weights in closed form, examples from a barrier, and what theta does to them."""

import math

import pytest
import torch
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax
from torch import nn

from sslwork import nets, robust
from sslwork.data import PictureSet
from sslwork.robust.done import DONE, barrier_maximum, tilted, worst_weights
from sslwork.seeds import generator

DOUBLE = torch.double
LOGS = torch.tensor([1.0, 2.0, 3.0], dtype=DOUBLE).log()


class Scalar(nn.Module):
    """One pixel x to the logits (0, theta x): the cross entropy of class 1 is log(1 + exp(-theta x))."""

    def __init__(self, theta):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta, dtype=DOUBLE))

    def forward(self, x):
        z = self.theta * x.flatten(1)
        return torch.cat([0 * z, z], 1)


# The weights


def test_three_losses_by_hand():
    torch.testing.assert_close(worst_weights(LOGS, 1.0), torch.tensor([1 / 6, 1 / 3, 1 / 2], dtype=DOUBLE))
    assert tilted(LOGS, 1.0).item() == pytest.approx(math.log(2))


def test_weights_and_value_are_those_of_scipy_and_solve_the_maximum():
    loss, r = torch.randn(9, generator=generator(0), dtype=DOUBLE), 0.7
    w = worst_weights(loss, r)
    torch.testing.assert_close(w, torch.from_numpy(softmax(loss.numpy() / r)))
    assert tilted(loss, r).item() == pytest.approx(r * (logsumexp(loss.numpy() / r) - math.log(9)))

    def value(w):
        return (w * loss).sum() - r * (w * (9 * w).log()).sum()

    torch.testing.assert_close(value(w), tilted(loss, r))
    others = torch.rand(50, 9, generator=generator(1), dtype=DOUBLE).softmax(1)
    assert all(value(each) < tilted(loss, r) for each in others)


def test_the_weights_are_the_gradient_of_the_value():
    loss = torch.randn(6, generator=generator(2), dtype=DOUBLE, requires_grad=True)
    (slope,) = torch.autograd.grad(tilted(loss, 0.5), loss)
    torch.testing.assert_close(slope, worst_weights(loss, 0.5))
    assert torch.autograd.gradcheck(lambda x: tilted(x, 0.5), loss) and slope.sum().item() == pytest.approx(1)


def test_the_value_lies_between_mean_and_maximum_and_moves_with_the_losses():
    loss = torch.rand(8, generator=generator(3), dtype=DOUBLE)
    values = [tilted(loss, r).item() for r in (1e-4, 0.1, 1, 10, 1e6)]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(loss.max().item(), abs=1e-3)
    assert values[-1] == pytest.approx(loss.mean().item(), abs=1e-6)
    torch.testing.assert_close(worst_weights(loss, 1e9), torch.full_like(loss, 1 / 8))
    torch.testing.assert_close(tilted(loss + 5, 0.3), tilted(loss, 0.3) + 5)


def test_large_losses_do_not_overflow():
    loss = torch.tensor([800.0, 800.0, 0.0])
    torch.testing.assert_close(worst_weights(loss, 1.0), torch.tensor([0.5, 0.5, 0.0]))
    torch.testing.assert_close(worst_weights(torch.full((4,), 800.0), 0.1), torch.full((4,), 0.25))
    done = DONE(eps=0.1)
    assert torch.isfinite(done.weight(torch.zeros(3), None)).all()
    assert torch.isfinite(done.weight(loss, None)).all()


def test_the_running_mean_is_the_recursion():
    done, u = DONE(eps=0.1, r=0.8, eta=0.3), None
    for seed in range(4):
        loss = torch.rand(5, generator=generator(seed), dtype=DOUBLE).requires_grad_()
        g = (loss.detach() / 0.8).exp()
        u = g.mean() if u is None else 0.7 * u + 0.3 * g.mean()
        w = done.weight(loss, None)
        torch.testing.assert_close(w, g / u)
        assert not w.requires_grad
        assert w.mean().item() == pytest.approx((g.mean() / u).item())
    every = DONE(eps=0.1, r=0.8, eta=1)
    every.weight(LOGS, None)
    torch.testing.assert_close(every.weight(loss, None) / 5, worst_weights(loss.detach(), 0.8))


# The examples


def test_the_barrier_problem_of_a_line():
    g, eps = torch.tensor([-3.0, -0.1, 0, 0.1, 3], dtype=DOUBLE), 0.2
    d = barrier_maximum(g, eps, 0.05)
    for slope, found in zip(g.tolist(), d.tolist(), strict=True):
        wanted = (-0.05 + math.sqrt(0.05**2 + slope**2 * eps**2)) / slope if slope else 0
        assert found == pytest.approx(wanted, abs=1e-12) and abs(found) < eps
    torch.testing.assert_close(
        g, 0.05 * (1 / (eps - d) - 1 / (eps + d))
    )  # there the slope is that of the barrier
    torch.testing.assert_close(barrier_maximum(g, eps, 1e-9), eps * g.sign(), atol=1e-6, rtol=0)


def test_examples_stay_strictly_within_the_ball_and_the_pictures():
    x = torch.rand(8, 1, 8, 8, generator=generator(0)).round(decimals=1)
    for c in (1e-6, 0.01, 1.0):
        done = DONE(eps=0.2, c=c, n_iter=5)
        at = done.inner(nets.small_conv(4, 2), x, torch.arange(8), generator(1))
        assert (at - x).abs().max() <= 0.2 + 1e-6 and at.min() >= 0 and at.max() <= 1
        assert torch.isfinite(done.weight(torch.arange(8.0), None)).all()
        assert torch.isfinite(done.extra(nets.small_conv(4, 2), x, at, torch.arange(8)))
    nothing = DONE(eps=0.2)
    torch.testing.assert_close(
        nothing.inner(nets.small_conv(4, 2), x, torch.arange(8), generator(1), share=1e-7), x
    )


def best_delta(theta, x, eps, c):
    """Where the slope of log(1 + exp(-theta (x + d))) is that of the barrier."""

    def slope(d):
        return -theta / (1 + math.exp(theta * (x + d))) - c * (1 / (eps - d) - 1 / (eps + d))

    return brentq(slope, -eps * (1 - 1e-12), eps * (1 - 1e-12), xtol=1e-15)


@pytest.mark.parametrize("c", [0.003, 0.05])
def test_the_solver_finds_the_example_of_the_logistic_model(c):
    x, theta = torch.full((1, 1, 1, 1), 0.5, dtype=DOUBLE), 3.0
    done = DONE(eps=0.2, c=c, n_iter=400)
    at = done.inner(Scalar(theta), x, torch.tensor([1]), generator(0))
    assert float(at - x) == pytest.approx(best_delta(theta, 0.5, 0.2, c), abs=1e-3)


@pytest.mark.parametrize("c", [0.003, 0.05])
def test_the_implicit_term_is_what_theta_does_to_the_loss_through_the_example(c):
    """Against finite differences of delta*(theta); the curvature that h leaves out is put back by hand."""
    x0, theta, eps = 0.5, 3.0, 0.2
    d = best_delta(theta, x0, eps, c)
    moves = (best_delta(theta + 1e-5, x0, eps, c) - best_delta(theta - 1e-5, x0, eps, c)) / 2e-5
    p = 1 / (1 + math.exp(theta * (x0 + d)))
    wanted = -theta * p * moves  # dl/ddelta times ddelta*/dtheta
    model, done = Scalar(theta), DONE(eps=eps, c=c, eta=1)
    x = torch.full((1, 1, 1, 1), x0, dtype=DOUBLE)
    y = torch.tensor([1])
    done.inner(model, x, y, generator(0))
    done.weight(torch.ones(1, dtype=DOUBLE), y)  # a single sample has weight 1
    (term,) = torch.autograd.grad(done.extra(model, x, x + d, y), model.theta)
    h = c * (1 / (eps - d) ** 2 + 1 / (eps + d) ** 2)
    curvature = theta**2 * p * (1 - p)
    assert term.item() * h / (h - curvature) == pytest.approx(wanted, rel=1e-5)


def test_at_the_rim_the_implicit_term_vanishes():
    model, x, y = Scalar(3.0), torch.full((1, 1, 1, 1), 0.5, dtype=DOUBLE), torch.tensor([1])
    sizes = []
    for off in (0.0, 0.19, 0.1999999):
        done = DONE(eps=0.2, c=0.01)
        done.inner(model, x, y, generator(0))
        done.weight(torch.ones(1, dtype=DOUBLE), y)
        sizes.append(abs(torch.autograd.grad(done.extra(model, x, x - off, y), model.theta)[0].item()))
    assert sizes[0] > sizes[1] > sizes[2] and sizes[2] < 1e-9 * sizes[0] + 1e-9


# The training


@pytest.fixture(scope="module")
def noise():
    return PictureSet(torch.rand(64, 1, 8, 8, generator=generator(0)), torch.arange(64) % 4)


def trained(noise, done, **other):
    model = nets.small_conv(4, 2, classes=4)
    robust.fit(model, noise, inner=done.inner, steps=4, batch_size=32, progress=False, **other)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_high_price_is_plain_adversarial_training(noise):
    done = DONE(eps=0.1, r=1e6, implicit=False)
    same = trained(noise, done, weight=done.weight, extra=done.extra)
    torch.testing.assert_close(same, trained(noise, DONE(eps=0.1)), atol=1e-4, rtol=0)
    one, other = DONE(eps=0.1), DONE(eps=0.1, implicit=False)
    with_term = trained(noise, one, weight=one.weight, extra=one.extra)
    assert (with_term - trained(noise, other, weight=other.weight, extra=other.extra)).abs().max() > 1e-4


def test_the_weighted_step_is_the_step_on_the_value(noise):
    """Weights times losses, weights held fixed, have the gradient of the tilted mean: one or the other, never both."""
    model, y = nets.small_conv(4, 2, classes=4), noise.labels[:8]
    x = noise.images[:8].float() / 255
    found = []
    for total in (
        lambda loss: tilted(loss, 0.5),
        lambda loss: (worst_weights(loss.detach(), 0.5) * loss).sum(),
        lambda loss: (DONE(eps=0.1, r=0.5, eta=1).weight(loss, y) * loss).mean(),
    ):
        losses = nn.functional.cross_entropy(model(x), y, reduction="none")
        found.append(torch.autograd.grad(total(losses), model.head.weight)[0])
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="r must be a finite number above 0"):
        tilted(LOGS, 0)
    with pytest.raises(ValueError, match="losses hold NaN"):
        worst_weights(torch.tensor([math.nan]), 1)
    with pytest.raises(TypeError, match="losses must be a row"):
        tilted(torch.zeros(2, 2), 1)
    for bad in ({"c": 0}, {"eta": 0}, {"eta": 1.5}, {"eps": 2.0}, {"r": -1}):
        with pytest.raises(ValueError, match="must be"):
            DONE(**{"eps": 0.1} | bad)
    with pytest.raises(ValueError, match="weight=done"):
        DONE(eps=0.1).extra(
            nets.small_conv(), torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(1)
        )
