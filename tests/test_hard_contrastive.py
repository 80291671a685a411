"""The contrastive loss with its hardest negatives: the formula as a loop, what is kept, limits, and bad input."""

import math
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from sslwork.losses import hard_contrastive, simple_contrastive
from sslwork.measures import relative_penalty
from sslwork.seeds import generator


def rows(n=7, d=4, seed=0):
    return torch.randn(2, n, d, generator=generator(seed), dtype=torch.double)


def cosines(z1, z2):
    return F.normalize(z1, dim=1) @ F.normalize(z2, dim=1).T


def by_loop(z1, z2, temperature, kept):
    hard, simple = [], []
    for i, anchor in enumerate(cosines(z1, z2).tolist()):
        negatives = sorted((s for j, s in enumerate(anchor) if j != i), reverse=True)[:kept]
        total = sum(math.exp(s / temperature) for s in [anchor[i], *negatives])
        hard.append(math.log(total) - anchor[i] / temperature)
        simple.append(-anchor[i] + 0.3 * sum(negatives))
    return hard, simple


@pytest.mark.parametrize(("alpha", "kept"), [(1.0, 6), (0.5, 3), (0.51, 4), (0.01, 1)])
@pytest.mark.parametrize("temperature", [0.05, 0.7])
def test_values_are_the_formulas(alpha, kept, temperature):
    z1, z2 = rows()
    hard, simple = by_loop(z1, z2, temperature, kept)
    value = hard_contrastive(z1, z2, temperature=temperature, alpha=alpha, reduction="none")
    assert value.tolist() == pytest.approx(hard, rel=1e-12)
    value = simple_contrastive(z1, z2, weight=0.3, alpha=alpha, reduction="none")
    assert value.tolist() == pytest.approx(simple, rel=1e-12)
    assert hard_contrastive(z1, z2, temperature=temperature, alpha=alpha).item() == pytest.approx(
        sum(hard) / 7
    )


def test_all_kept_is_the_ordinary_loss():
    z1, z2 = rows()
    ordinary = F.cross_entropy(cosines(z1, z2) / 0.3, torch.arange(7))
    assert torch.allclose(hard_contrastive(z1, z2, temperature=0.3, alpha=1), ordinary)


def test_one_kept_is_the_hardest_negative_against_the_positive():
    z1, z2 = rows()
    s = cosines(z1, z2)
    hardest = s.masked_fill(torch.eye(7).bool(), -1).amax(1)
    value = hard_contrastive(z1, z2, temperature=0.3, alpha=1e-6, reduction="none")
    assert torch.allclose(value, F.softplus((hardest - s.diagonal()) / 0.3))


@pytest.mark.parametrize("tau", [0.01, 1.0, 100.0])
def test_a_negative_as_near_as_the_positive_is_log_2(tau):
    z = torch.ones(2, 3, dtype=torch.double)
    assert hard_contrastive(z, z, temperature=tau, alpha=1).item() == pytest.approx(math.log(2), abs=1e-12)


def test_dropping_negatives_lowers_the_loss():
    z1, z2 = rows()
    values = [
        hard_contrastive(z1, z2, temperature=0.5, alpha=a, reduction="none") for a in (0.2, 0.5, 0.8, 1)
    ]
    assert all((a < b).all() for a, b in pairwise(values))


@pytest.mark.parametrize(("n", "alpha", "kept"), [(7, 0.4, 3), (101, 0.07, 7), (16, 0.2, 3), (4, 1e-9, 1)])
def test_each_anchor_keeps_its_own_share_and_the_rest_feel_nothing(n, alpha, kept):
    """The positive does not count among them: it is nearest here, and none of the negatives yields its place."""
    z1, noise = rows(n)
    z2 = (z1 + 0.01 * noise).requires_grad_()
    s = cosines(z1, z2).detach().fill_diagonal_(-2)
    for loss in (
        hard_contrastive(z1, z2, temperature=0.5, alpha=alpha, reduction="none"),
        simple_contrastive(z1, z2, weight=1.0, alpha=alpha, reduction="none"),
    ):
        for i in (0, n // 2, n - 1):
            (gradient,) = torch.autograd.grad(loss[i], z2, retain_graph=True)
            felt = set((gradient != 0).any(1).nonzero().flatten().tolist())
            assert felt == {i, *s[i].topk(kept).indices.tolist()}


def test_of_equal_negatives_as_many_are_kept_as_are_needed():
    z = torch.ones(9, 3, dtype=torch.double)
    assert hard_contrastive(z, z, temperature=0.2, alpha=0.5).item() == pytest.approx(math.log(1 + 4))


def test_push_and_pull_balance_and_the_push_is_a_boltzmann_law():
    """With z2 the axes, s_ij is entry j of u_i; only what is across u_i comes through the unit map."""
    tau, z1 = 0.3, rows(5, 5)[0]
    u = F.normalize(z1, dim=1).requires_grad_()
    hard_contrastive(u, torch.eye(5).double(), temperature=tau, alpha=1, reduction="none").sum().backward()
    for i, s in enumerate(u.detach()):
        others = [j for j in range(5) if j != i]
        pull = 1 - (s / tau).softmax(0)[i]
        by_similarity = torch.zeros(5).double()
        by_similarity[others] = pull * relative_penalty(s[others], temperature=tau) / tau
        by_similarity[i] = -pull / tau
        assert by_similarity.sum().abs() < 1e-12
        assert torch.allclose(u.grad[i], by_similarity - (by_similarity @ s) * s)


def test_cold_limit_is_the_hardest_negative():
    z1, z2 = rows()
    s = cosines(z1, z2)
    hardest = s.masked_fill(torch.eye(7).bool(), -1).amax(1)
    for alpha in (1, 0.2):
        value = 1e-4 * hard_contrastive(z1, z2, temperature=1e-4, alpha=alpha, reduction="none")
        assert torch.allclose(value, (hardest - s.diagonal()).relu(), atol=1e-3)


def test_hot_limit_is_the_simple_loss():
    z1, z2 = (z.requires_grad_() for z in rows())
    tau, s = 1e5, cosines(z1, z2)
    value = hard_contrastive(z1, z2, temperature=tau, alpha=1, reduction="none")
    assert torch.allclose(tau * (value - math.log(7)), s.mean(1) - s.diagonal(), atol=1e-4)
    (hot,) = torch.autograd.grad(tau * value.mean(), z1)
    (simple,) = torch.autograd.grad(simple_contrastive(z1, z2, weight=1 / 6), z1)
    assert torch.allclose(hot, 6 / 7 * simple, atol=1e-4)


def test_what_must_and_must_not_matter():
    z1, z2 = rows()
    order = torch.randperm(7, generator=generator(1))
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator(2), dtype=torch.double))[0]
    for loss in (
        lambda a, b: hard_contrastive(a, b, temperature=0.3, alpha=0.4),
        lambda a, b: simple_contrastive(a, b, weight=0.2, alpha=0.4),
    ):
        before, value = z1.clone(), loss(z1, z2)
        assert value.dtype == torch.double and torch.equal(before, z1)
        for a, b in [(z1[order], z2[order]), (z1 @ turn, z2 @ turn), (3 * z1, z2)]:
            assert torch.allclose(loss(a, b), value, atol=1e-12)
        assert not torch.isclose(loss(z2, z1), value, rtol=1e-6)  # z1 are the anchors
        with torch.autocast("cpu"):
            assert torch.equal(
                loss(z1.bfloat16(), z2.bfloat16()), loss(z1.bfloat16().float(), z2.bfloat16().float())
            )


def test_gradients():
    z1, z2 = (z.requires_grad_() for z in rows(5, 3))
    assert torch.autograd.gradcheck(lambda a, b: hard_contrastive(a, b, temperature=0.4, alpha=0.5), (z1, z2))
    assert torch.autograd.gradcheck(lambda a, b: simple_contrastive(a, b, weight=0.4, alpha=0.5), (z1, z2))


@pytest.mark.parametrize(
    ("z1", "z2", "options", "error", "says"),
    [
        (torch.ones(1, 2), torch.ones(1, 2), {}, ValueError, r"z1 has 1 row\(s\), at least 2"),
        (torch.ones(3, 2), torch.ones(2, 2), {}, ValueError, r"\(3, 2\) and \(2, 2\)"),
        (torch.ones(3, 2), torch.ones(3, 2).int(), {}, TypeError, "z2 must hold floating-point"),
        (torch.ones(3, 2), torch.full((3, 2), torch.nan), {}, ValueError, "z2 holds NaN"),
        (torch.ones(3, 2), torch.ones(3, 2), {"temperature": -1}, ValueError, "temperature must be"),
        (torch.ones(3, 2), torch.ones(3, 2), {"alpha": 0}, ValueError, "above 0 and at most 1; got 0"),
        (torch.ones(3, 2), torch.ones(3, 2), {"alpha": 1.1}, ValueError, "above 0 and at most 1; got 1.1"),
        (torch.ones(3, 2), torch.ones(3, 2), {"alpha": math.nan}, ValueError, "got nan"),
        (torch.ones(3, 2), torch.ones(3, 2), {"reduction": "sum"}, ValueError, "reduction must be"),
    ],
)
def test_bad_input_is_named(z1, z2, options, error, says):
    with pytest.raises(error, match=says):
        hard_contrastive(z1, z2, **({"temperature": 0.5, "alpha": 0.5} | options))


def test_a_negative_weight_would_pull_negatives_nearer():
    with pytest.raises(ValueError, match="weight must be a finite number, 0 or above"):
        simple_contrastive(*rows(), weight=-0.1)
