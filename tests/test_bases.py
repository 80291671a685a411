"""InfoNCE, BYOL, SimSiam, alignment and uniformity: the formula as a loop, exact values, and what must not matter."""

import math

import pytest
import torch

from sslwork import measures
from sslwork.losses import align_uniform, byol, info_nce, nt_xent, similarity, simsiam
from sslwork.seeds import generator

TAU = 0.3


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.double).unbind()


def cosine(a, b):
    return (a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()


def info_nce_across(q, k):
    total, n = 0, len(q)
    for i in range(n):
        row, column = 0, 0
        for j in range(n):
            row += torch.exp(cosine(q[i], k[j]) / TAU)
            column += torch.exp(cosine(k[i], q[j]) / TAU)
        own = torch.exp(cosine(q[i], k[i]) / TAU)
        total -= torch.log(own / row) / 2 + torch.log(own / column) / 2
    return total / n


def info_nce_queue(q, k, queue):
    total = 0
    for a, b in zip(q, k, strict=True):
        logits = torch.stack([cosine(a, b), *(cosine(a, c) for c in queue)]) / TAU
        total += torch.nn.functional.cross_entropy(logits[None], torch.tensor([0]))
    return total / len(q)


def byol_loop(p1, p2, z1, z2):
    total = 0
    for i in range(len(p1)):
        total += 2 - 2 * cosine(p1[i], z2[i].detach()) + 2 - 2 * cosine(p2[i], z1[i].detach())
    return total / len(p1)


def simsiam_loop(p1, p2, z1, z2):
    total = 0
    for i in range(len(p1)):
        total -= (cosine(p1[i], z2[i].detach()) + cosine(p2[i], z1[i].detach())) / 2
    return total / len(p1)


def align_uniform_loop(z1, z2, alpha=1.5, t=3.0, weight=0.7):
    u, v = ([row / row.norm() for row in z] for z in (z1, z2))
    n = len(u)
    align = sum((a - b).norm() ** alpha for a, b in zip(u, v, strict=True)) / n
    even = 0
    for x in (u, v):
        pairs = [torch.exp(-t * (x[i] - x[j]).square().sum()) for i in range(n) for j in range(i)]
        even += torch.log(sum(pairs) / len(pairs)) / 2
    return align + weight * even


def strange(z1, z2):
    return align_uniform(z1, z2, alpha=1.5, t=3.0, uniformity=0.7)


CASES = {
    "info_nce across": (lambda q, k: info_nce(q, k, temperature=TAU), info_nce_across, draw(2, 5, 3)),
    "info_nce queue": (
        lambda q, k, n: info_nce(q, k, n, temperature=TAU), info_nce_queue, (*draw(2, 5, 3), torch.stack(draw(7, 3, seed=1))),
    ),
    "byol": (byol, byol_loop, draw(4, 5, 3)),
    "simsiam": (simsiam, simsiam_loop, draw(4, 5, 3)),
    "align_uniform": (strange, align_uniform_loop, draw(2, 5, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_the_formula(name):
    loss, loop, rows = CASES[name]
    rows = [row.clone().requires_grad_() for row in rows]
    value, expected = loss(*rows), loop(*rows)
    assert value.ndim == 0 and torch.allclose(value, expected, rtol=1e-12)
    mine, theirs = (torch.autograd.grad(out, rows, allow_unused=True) for out in (value, expected))
    for a, b in zip(mine, theirs, strict=True):
        assert (a is None and b is None) or torch.allclose(a, b, rtol=1e-9, atol=1e-12)
    moving = [row for row, grad in zip(rows, mine, strict=True) if grad is not None]
    still = rows[len(moving) :]
    assert torch.autograd.gradcheck(lambda *moving: loss(*moving, *still), moving)


@pytest.mark.parametrize("name", CASES)
def test_what_matters_to_none_of_them(name):
    """The length of a row, a turn of all, the order of the batch; and inputs are left alone."""
    loss, _, rows = CASES[name]
    value, before = loss(*rows), [row.clone() for row in rows]
    turn = torch.linalg.qr(torch.stack(draw(3, 3, seed=2)))[0]
    length = torch.linspace(0.5, 3, 5, dtype=torch.double)[:, None]
    order = torch.randperm(5, generator=generator(3))
    assert torch.allclose(loss(rows[0] * length, *rows[1:]), value, rtol=1e-10)
    assert torch.allclose(loss(*(row @ turn for row in rows)), value, rtol=1e-10)
    assert torch.allclose(loss(*(row[order] if len(row) == 5 else row for row in rows)), value, rtol=1e-10)
    assert all(torch.equal(a, b) for a, b in zip(rows, before, strict=True)) and value.dtype == torch.double


@pytest.mark.parametrize("name", CASES)
def test_half_precision_is_computed_in_single(name):
    loss, _, rows = CASES[name]
    half = [row.bfloat16() for row in rows]
    with torch.autocast("cpu"):
        value = loss(*half)
    assert torch.equal(value, loss(*(row.float() for row in half)))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("bad", "error", "says"), [
    (torch.full((5, 3), torch.nan), ValueError, "NaN"),
    (torch.ones(5, 3).long(), TypeError, "floating-point"),
    (torch.ones(5), ValueError, r"shape \(N, D\), got \(5,\)"),
    (torch.ones(4, 2), ValueError, "one shape|one width"),
    (torch.ones(0, 3), ValueError, "0 row"),
], ids=["NaN", "integers", "a vector", "unequal", "empty"])  # fmt: skip
def test_bad_rows_are_named_at_every_place(name, bad, error, says):
    loss, _, rows = CASES[name]
    for i in range(len(rows)):
        with pytest.raises(error, match=says):
            loss(*rows[:i], bad.double() if bad.is_floating_point() else bad, *rows[i + 1 :])


Z = torch.ones(3, 2)


@pytest.mark.parametrize(("call", "says"), [
    (lambda: info_nce(Z, Z, temperature=0), "temperature must be"),
    (lambda: info_nce(Z, Z, Z, temperature=math.nan), "temperature must be"),
    (lambda: info_nce(Z, Z, Z, temperature=torch.ones(3, 1)), r"one number, got shape \(3, 1\)"),
    (lambda: info_nce(Z, Z, torch.ones(4, 3), temperature=1), r"queries and negatives .* \(3, 2\) and \(4, 3\)"),
    (lambda: align_uniform(Z, Z, alpha=0), "alpha must be"),
    (lambda: align_uniform(Z, Z, t=-1), "t must be"),
    (lambda: align_uniform(Z, Z, uniformity=math.nan), "uniformity must be .* got nan"),
    (lambda: align_uniform(Z[:1], Z[:1]), "z1 has 1 row"),
])  # fmt: skip
def test_bad_options_are_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


# InfoNCE


@pytest.mark.parametrize("n", [1, 2, 5])
def test_info_nce_guesses_where_all_rows_are_equal(n):
    z = torch.ones(n, 3, dtype=torch.double)
    assert info_nce(z, z, temperature=0.1).item() == pytest.approx(math.log(n), abs=1e-12)
    assert info_nce(z, z, z, temperature=0.1).item() == pytest.approx(math.log(n + 1), abs=1e-12)


def test_across_has_no_direction_and_is_not_nt_xent():
    z1, z2 = draw(2, 6, 4)
    value = info_nce(z1, z2, temperature=TAU)
    assert torch.allclose(info_nce(z2, z1, temperature=TAU), value, rtol=1e-12)
    assert nt_xent(z1, z2, temperature=TAU) > value + 0.1  # it has N - 1 negatives more


def test_the_temperature_learns_in_both_forms():
    q, k, tau = *draw(2, 4, 3), torch.tensor(0.4, dtype=torch.double, requires_grad=True)
    for negatives in (None, torch.stack(draw(5, 3, seed=1))):
        assert torch.autograd.gradcheck(lambda t, n=negatives: info_nce(q, k, n, temperature=t), (tau,))


def test_a_queue_costs_precision_neither_near_nor_far():
    """Every negative far: the loss is tiny, not zero. Every negative near: it is large, not infinite."""
    q = torch.tensor([[1.0, 0.0]], dtype=torch.double)
    assert info_nce(q, q, -q, temperature=0.1).item() == pytest.approx(math.log1p(math.exp(-20)), rel=1e-9)
    assert info_nce(q, -q, q, temperature=0.001).item() == pytest.approx(2000)


# BYOL and SimSiam


def test_byol_and_simsiam_are_one_loss_on_two_scales():
    rows = draw(4, 6, 3)
    assert torch.allclose(byol(*rows) / 2, 2 + 2 * simsiam(*rows))
    p1, p2, z1, z2 = rows
    assert torch.allclose(byol(p2, p1, z2, z1), byol(*rows))
    assert not torch.allclose(byol(p1, p2, z2, z1), byol(*rows))  # p1 predicts z2, not z1


def test_bounds_of_byol_and_simsiam():
    z = draw(1, 6, 3)[0]
    for sign, most, negative in ((1, 0, -1), (-1, 8, 1)):
        assert byol(z, z, sign * z, sign * z).item() == pytest.approx(most, abs=1e-12)
        assert simsiam(z, z, sign * z, sign * z).item() == pytest.approx(negative, abs=1e-12)


@pytest.mark.parametrize("loss", [byol, simsiam])
def test_targets_stand_still(loss):
    p1, p2, z1, z2 = (row.requires_grad_() for row in draw(4, 6, 3))
    loss(p1, p2, z1, z2).backward()
    assert z1.grad is None and z2.grad is None and p1.grad.abs().sum() > 0 and p2.grad.abs().sum() > 0


# Alignment and uniformity


def test_exact_values_of_uniformity():
    collapsed = torch.ones(4, 3, dtype=torch.double)
    orthonormal = torch.eye(5, dtype=torch.double)
    antipodal = torch.tensor([[2.0, 0.0], [-1.0, 0.0]], dtype=torch.double)
    for z, expected in ((collapsed, 0), (orthonormal, -4), (antipodal, -8)):
        assert align_uniform(z, z).item() == pytest.approx(expected, abs=1e-12)
    assert align_uniform(orthonormal, orthonormal, uniformity=0).item() == 0


def test_uniformity_on_a_high_sphere_tends_to_minus_2t():
    z = draw(1, 400, 2000)[0]
    assert align_uniform(z, z).item() == pytest.approx(-4, abs=0.02)


def test_it_is_the_sum_of_the_two_measures():
    z1, z2 = draw(2, 40, 6)
    even = (measures.uniformity(z1) + measures.uniformity(z2)) / 2
    expected = measures.alignment(z1, z2) + 0.5 * even
    assert align_uniform(z1, z2, uniformity=0.5).item() == pytest.approx(expected, rel=1e-12)
    assert torch.allclose(align_uniform(z1, z2), align_uniform(z2, z1))


def test_nt_xent_is_alignment_and_the_push():
    """The split behind the temperature plots: |x - y|^2 / (2 tau), and a log-sum-exp over the others."""
    z1, z2 = draw(2, 40, 6)
    others = similarity.logsumexp(similarity.unit(torch.cat([z1, z2])), temperature=TAU).mean()
    close = align_uniform(z1, z2, uniformity=0) / (2 * TAU)
    assert torch.allclose(nt_xent(z1, z2, temperature=TAU), close + others - 1 / TAU)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_equal_views_have_a_finite_gradient(alpha):
    z1 = draw(1, 5, 3)[0].requires_grad_()
    align_uniform(z1, z1.detach().clone(), alpha=alpha).backward()
    assert torch.isfinite(z1.grad).all()
