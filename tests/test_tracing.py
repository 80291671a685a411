"""Tracing: what a unit tracer keeps, copies that agree where they must, DOL, votes, and a source that is found."""

import math

import pytest
import torch
from torch import nn

from sslwork import attacks, data, nets, tracing
from sslwork.seeds import generator, seeded


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture
def images(digits):
    return digits.images[:40].float() / 255


def tracer(seed):
    return tracing.Tracer(nets.small_conv(4, 2, hidden=16, seed=seed))


class Changed(nn.Module):
    """T with its logits scaled and shifted."""

    def __init__(self, net, scale=1.0, shift=0.0):
        super().__init__()
        self.net, self.scale, self.shift = net, scale, shift

    def forward(self, images):
        return self.scale * self.net(images) + self.shift


def test_a_unit_tracer_forgets_scale_and_keeps_an_offset(images):
    t = tracer(0)
    assert torch.allclose(t(images).norm(dim=1), torch.ones(40), atol=1e-6)
    assert torch.allclose(tracing.Tracer(Changed(t.net, scale=3))(images), t(images), atol=1e-6)
    assert not torch.allclose(tracing.Tracer(Changed(t.net, shift=3))(images), t(images), atol=0.1)


def test_a_copy_names_what_the_classifier_names_where_its_margin_is_wide(images):
    classifier, strength = nets.small_conv(4, 2, hidden=16, seed=9), 0.02
    top = classifier(images).topk(2, dim=1).values
    sure = top[:, 0] - top[:, 1] > math.sqrt(2) * strength
    assert sure.any()
    for seed in range(4):
        copy = tracing.Copy(classifier, tracer(seed), strength)
        assert (copy(images) - classifier(images)).abs().max() <= strength + 1e-6
        assert torch.equal(copy(images).argmax(1)[sure], classifier(images).argmax(1)[sure])


def test_without_strength_all_copies_are_one(images):
    classifier = nets.small_conv(4, 2, hidden=16, seed=9)
    copies = [tracing.Copy(classifier, tracer(seed), 0.0) for seed in range(2)]
    assert torch.equal(copies[0](images), copies[1](images))
    y = classifier(images).argmax(1)
    attacked = [attacks.pgd(copy, images, y, eps=0.3, n_iter=5) for copy in copies]
    assert torch.equal(attacked[0], attacked[1])  # so nothing can tell on which it was made


def test_sensitivity_against_a_loop():
    a, b = torch.randn(2, 6, 4, generator=generator(0), dtype=torch.double)
    loop = sum(
        sum(p * q for p, q in zip(x, z, strict=True))
        / math.sqrt(sum(p * p for p in x) * sum(q * q for q in z))
        for x, z in zip(a.tolist(), b.tolist(), strict=True)
    )
    assert tracing.sensitivity(a, b).mean().item() == pytest.approx(loop / 6)
    assert torch.allclose(tracing.sensitivity(a, 2 * a), torch.ones(6, dtype=torch.double))
    assert torch.allclose(tracing.sensitivity(a, -a), -torch.ones(6, dtype=torch.double))
    assert torch.autograd.gradcheck(tracing.sensitivity, (a.requires_grad_(), b.requires_grad_()))


def test_noise_of_zero_changes_nothing_and_black_swallows_half(images):
    t = tracer(0)
    quiet = tracing.sign_noise(images, 0.0, generator(0))
    assert torch.allclose(tracing.sensitivity(t(images), t(quiet)), torch.ones(40))
    noisy = tracing.sign_noise(torch.zeros(50, 1, 8, 8), 0.1, generator(0))
    assert (noisy == 0).float().mean() == pytest.approx(0.5, abs=0.05)
    grey = tracing.sign_noise(torch.full((5, 1, 8, 8), 0.5), 0.1, generator(0))
    assert torch.allclose((grey - 0.5).abs(), torch.full_like(grey, 0.1))


def test_training_makes_noise_turn_the_tracer_round(digits, images):
    t = tracer(0)
    losses = tracing.fit(t, digits, steps=80, batch_size=32, seed=1, progress=False)
    assert losses[0] > 0.9 and sum(losses[-10:]) / 10 < 0.9
    assert not t.training
    again, other = tracer(0), tracer(0)
    assert tracing.fit(again, digits, steps=5, progress=False, seed=1) == pytest.approx(
        tracing.fit(tracer(0), digits, steps=5, progress=False, seed=1)
    )
    tracing.fit(other, digits, steps=5, progress=False, seed=2)
    assert not torch.equal(again(images), other(images))


def test_every_step_draws_noise_of_its_own():
    grey, seen = data.PictureSet(torch.full((8, 1, 8, 8), 0.5), torch.zeros(8, dtype=torch.long)), []
    t = tracer(0)
    t.net.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    tracing.fit(t, grey, steps=2, batch_size=8, progress=False)
    clean, first, again, second = seen
    assert torch.equal(clean, again) and not torch.equal(first, second)


def test_dol_against_a_loop_and_its_bounds(images):
    tracers = [tracer(seed) for seed in range(3)]
    draw = generator(0)
    y = torch.randint(10, (40,), generator=draw)
    wrong = (y + 1 + torch.randint(9, (40,), generator=draw)) % 10
    found = tracing.dol(tracers, images, wrong, y)
    for n in (0, 17, 39):
        for i, t in enumerate(tracers):
            logits = t(images[n : n + 1])[0]
            assert found[n, i].item() == pytest.approx(
                logits[wrong[n]].item() - logits[y[n]].item(), abs=1e-5
            )
    assert found.abs().max() <= math.sqrt(2) + 1e-6
    assert torch.allclose(tracing.dol(tracers, images, y, wrong), -found)


def test_full_logits_name_the_same_copy_as_tracers_do(images):
    """C says the same in every copy, so it only shifts the evidence of all of them."""
    classifier, tracers = nets.small_conv(4, 2, hidden=16, seed=9), [tracer(seed) for seed in range(3)]
    copies = [tracing.Copy(classifier, t, 4.0) for t in tracers]
    y = torch.arange(40) % 10
    full = tracing.dol(copies, images, (y + 3) % 10, y)
    alone = tracing.dol(tracers, images, (y + 3) % 10, y)
    assert torch.equal(tracing.trace(full), tracing.trace(alone))
    assert torch.allclose(
        full - full.mean(1, keepdim=True), 4 * (alone - alone.mean(1, keepdim=True)), atol=1e-4
    )


def test_dol_of_untouched_pictures_is_zero_on_average(images):
    pairs = torch.tensor([(a, b) for a in range(10) for b in range(10) if a != b])
    rows = images[:1].expand(90, -1, -1, -1)
    found = tracing.dol([tracer(0), tracer(1)], rows, pairs[:, 0], pairs[:, 1])
    assert torch.allclose(found.mean(0), torch.zeros(2), atol=1e-6)


def test_votes_add_up_and_help():
    assert tracing.trace(torch.tensor([[0.1, 0.2], [0.9, 0.0]]), votes=2).tolist() == [0]
    assert tracing.trace(torch.tensor([[0.1, 0.2], [0.9, 0.0]])).tolist() == [1, 0]
    scores = torch.randn(6000, 2, generator=generator(0)) + torch.tensor([0.3, 0.0])
    right = [(tracing.trace(scores, votes=n) == 0).double().mean().item() for n in (1, 5, 25)]
    assert 0.5 < right[0] < right[1] < right[2]
    # Votes of hits and misses, as a majority of an odd number: the binomial bound.
    p, n = right[0], 5
    majority = sum(math.comb(n, hits) * p**hits * (1 - p) ** (n - hits) for hits in range(3, n + 1))
    votes = (scores[:, 0] > scores[:, 1]).double().reshape(-1, n).sum(1)
    assert (votes >= 3).double().mean().item() == pytest.approx(majority, abs=0.05)


def test_an_attack_climbs_through_the_tracer_it_was_made_on(images):
    """The principle without a training: y' is named by the common classifier, which takes no side."""
    with seeded(3):
        left, right, base = (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)) for _ in range(3))
    tracers = [tracing.Tracer(left), tracing.Tracer(right)]
    y = base(images).argmax(1)
    for i, t in enumerate(tracers):
        attacked = attacks.pgd(tracing.Copy(base, t, 2.0), images, y, eps=0.3, n_iter=10)
        named = base(attacked).argmax(1)
        won = named != y
        assert won.sum() >= 20
        verdicts = tracing.trace(tracing.dol(tracers, attacked[won], named[won], y[won]))
        assert (verdicts == i).double().mean() > 0.6


def test_bad_input_is_refused_in_words(digits, images):
    y = torch.zeros(40, dtype=torch.long)
    with pytest.raises(ValueError, match="that attack failed; leave such rows out"):
        tracing.dol([tracer(0)], images, y, y)
    with pytest.raises(ValueError, match="tracers is empty"):
        tracing.dol([], images, y + 1, y)
    with pytest.raises(ValueError, match="attacked must have one entry per row"):
        tracing.dol([tracer(0)], images, y[:3], y)
    with pytest.raises(ValueError, match="votes must lie in"):
        tracing.trace(torch.zeros(3, 2), votes=4)
    with pytest.raises(ValueError, match="strength must be a finite number"):
        tracing.Copy(nn.Identity(), tracer(0), -1.0)
    with pytest.raises(ValueError, match="sigma must be a finite number above 0"):
        tracing.fit(tracer(0), digits, sigma=0.0)
    with pytest.raises(ValueError, match="clean holds NaN"):
        tracing.sensitivity(torch.full((2, 3), torch.nan), torch.ones(2, 3))
