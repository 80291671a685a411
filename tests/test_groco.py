"""GroCo and its relaxed sorting network: a network written wire by wire, exact values, limits, and bad input."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sslwork.losses import groco, nt_xent, sort_relaxed
from sslwork.seeds import generator


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.double)


def network(x, steepness):
    """The odd-even network of one list, a comparator at a time: values, and P as rows of a list."""
    n = len(x)
    x, p = list(x), [[float(i == r) for r in range(n)] for i in range(n)]
    for layer in range(n):
        for a in range(layer % 2, n - 1, 2):
            keep = 0.5 + torch.arctan(steepness * (x[a + 1] - x[a])) / math.pi
            for wires in (x, *p):
                left, right = wires[a], wires[a + 1]
                wires[a], wires[a + 1] = keep * left + (1 - keep) * right, (1 - keep) * left + keep * right
    return x, p


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("steepness", [0.0, 1.0, 20.0])
def test_the_network_wire_by_wire(n, steepness):
    x = draw(2, 3, n)
    values, p = sort_relaxed(x, steepness=steepness)
    assert values.shape == (2, 3, n) and p.shape == (2, 3, n, n)
    expected, expected_p = network(x[1, 2], steepness)
    assert values[1, 2].tolist() == pytest.approx([float(v) for v in expected], rel=1e-12)
    for row, expected_row in zip(p[1, 2].tolist(), expected_p, strict=True):
        assert row == pytest.approx([float(v) for v in expected_row], abs=1e-12)
    for axis in (-1, -2):  # doubly stochastic
        assert torch.allclose(p.sum(axis), torch.ones(2, 3, n).double(), atol=1e-12)
    assert (p >= 0).all() and torch.allclose(values.sum(-1), x.sum(-1))


def test_rows_of_p_are_inputs():
    values, p = sort_relaxed(torch.tensor([3.0, 1.0]), steepness=1.0)
    assert p[0, 1] > 0.5 and p[0, 1] == pytest.approx(0.5 + math.atan(2) / math.pi)
    assert values[0] < values[1]
    hard = sort_relaxed(torch.tensor([5.0, 1.0, 3.0], dtype=torch.double), steepness=1e9)[1]
    assert hard.argmax(1).tolist() == [2, 0, 1]  # a permutation that is not its own inverse


def test_steep_sorts_exactly():
    x = draw(4, 7)
    values, p = sort_relaxed(x, steepness=1e9)
    assert torch.allclose(values, x.sort().values, atol=1e-6)
    ranks = x.argsort().argsort()
    assert torch.allclose(p, F.one_hot(ranks, 7).double(), atol=1e-6)


def test_sorted_input_stays_where_it_is():
    p = sort_relaxed(torch.linspace(-1, 1, 6, dtype=torch.double), steepness=100.0)[1]
    assert p.argmax(1).tolist() == list(range(6))


def test_at_steepness_zero_every_comparator_averages():
    values, p = sort_relaxed(draw(2), steepness=0.0)
    assert torch.allclose(p, torch.full((2, 2), 0.5).double()) and values[0] == values[1]


def test_gradient_of_the_network():
    x = draw(5).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: sort_relaxed(v, steepness=2.0), x)


def by_loop(views, k, steepness, held=True):
    u = F.normalize(views, dim=-1)
    keys = u.detach() if held else u
    losses = []
    for v in range(len(u)):
        for i, anchor in enumerate(u[v]):
            negatives = sorted((anchor @ keys[v, j] for j in range(u.shape[1]) if j != i), key=Tensor.item)[
                -k:
            ]
            positives = sorted((anchor @ keys[w, i] for w in range(len(u)) if w != v), key=Tensor.item)
            p = network([*negatives, *positives], steepness)[1]
            top = torch.stack([torch.as_tensor(sum(row[k:])) for row in p]).clamp(1e-7, 1 - 1e-7)
            target = torch.tensor([0.0] * k + [1.0] * len(positives)).double()
            losses.append(F.binary_cross_entropy(top, target))
    return torch.stack(losses)


@pytest.mark.parametrize(("count", "k"), [(2, 1), (2, 4), (3, 2), (4, 3)])
@pytest.mark.parametrize("held", [True, False])
def test_value_and_gradient_are_the_formula(count, k, held):
    views, mine = (draw(count, 5, 4).requires_grad_() for _ in "12")
    expected = by_loop(views, k, 3.0, held)
    value = groco(*mine, top_k=k, steepness=3.0, stop_gradient=held, reduction="none")
    assert torch.allclose(value, expected, rtol=1e-9)
    assert torch.allclose(groco(*mine, top_k=k, steepness=3.0), expected.mean(), rtol=1e-9)
    expected.mean().backward()
    value.mean().backward()
    assert torch.allclose(mine.grad, views.grad, rtol=1e-8, atol=1e-12)


def test_exact_values_of_one_pair():
    """One positive p, one negative n: -log(1/2 + arctan(steepness (p - n)) / pi)."""
    same, axes = torch.ones(2, 2).double(), torch.eye(2).double()
    line = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.double)
    for z, expected in ((same, math.log(2)), (axes, -math.log(0.75)), (line, 0.15968)):
        assert groco(z, z, top_k=1).item() == pytest.approx(expected, abs=1e-5)
    floor = groco(line, line, top_k=1).exp().reciprocal()  # the farthest apart that cosines can be
    assert floor.item() == pytest.approx(0.852, abs=1e-3)
    assert groco(line, line, top_k=1, steepness=0.0).item() == pytest.approx(math.log(2))


def test_steep_and_in_order_is_no_loss():
    z = draw(6, 8)
    assert groco(z, z + 1e-3 * draw(6, 8, seed=1), z, top_k=3, steepness=1e9) < 1e-6
    assert groco(z, z.roll(1, 0), top_k=3, steepness=1e9) > 1


def test_one_anchor_moves_alone():
    views = draw(3, 5, 4).requires_grad_()
    losses = groco(*views, top_k=2, reduction="none")
    (gradient,) = torch.autograd.grad(losses[7], views)  # row 2 of view 1
    moved = (gradient != 0).any(-1)
    assert moved.nonzero().tolist() == [[1, 2]]
    (gradient,) = torch.autograd.grad(groco(*views, top_k=2, stop_gradient=False, reduction="none")[7], views)
    moved = (gradient != 0).any(-1)
    assert moved[1, 2] and moved[0, 2] and moved[2, 2]  # the positives
    assert moved[1].sum() == 1 + 2 and moved[0].sum() == moved[2].sum() == 1  # negatives of its own view


def test_a_negative_that_is_far_is_left_alone():
    """NT-Xent pushes every negative a little; here the ones beyond the k nearest feel nothing."""
    z1, z2 = (z.requires_grad_() for z in draw(2, 6, 4))
    farthest = (F.normalize(z1, dim=1) @ F.normalize(z1, dim=1)[0]).argmin()
    mine = groco(z1, z2, top_k=3, stop_gradient=False, reduction="none")[0]
    theirs = nt_xent(z1, z2, temperature=0.5, reduction="none")[0]
    assert (torch.autograd.grad(mine, z1)[0][farthest] == 0).all()
    assert (torch.autograd.grad(theirs, z1)[0][farthest] != 0).any()


@pytest.mark.parametrize("positive", [0.2, 0.5, 0.9])
def test_a_kept_negative_that_is_far_feels_less_than_from_nt_xent(positive):
    """Of the pull on the positive it gets a smaller share, too."""
    s = torch.tensor([-0.9, 0.5, 0.6, 0.7, positive], dtype=torch.double).requires_grad_()
    p = sort_relaxed(s, steepness=1.0)[1]
    right = torch.cat([p[:4, :4].sum(1), p[4:, 4:].sum(1)])
    (mine,) = torch.autograd.grad(-right.log().mean(), s)
    (theirs,) = torch.autograd.grad((s / 0.5).logsumexp(0) - s[4] / 0.5, s)
    assert 0 < mine[0] < theirs[0] and mine[0] / -mine[4] < theirs[0] / -theirs[4]


def test_what_must_not_matter():
    views = draw(3, 6, 4)
    before, value = views.clone(), groco(*views, top_k=3)
    order = torch.randperm(6, generator=generator(1))
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator(2), dtype=torch.double))[0]
    length = torch.rand(3, 6, 1, generator=generator(3), dtype=torch.double) + 0.5
    for same in (
        views[:, order],
        views @ turn,
        length * views,
        views.flip(0),
    ):  # negatives and positives change places
        assert torch.allclose(groco(*same, top_k=3), value, atol=1e-12)
    assert value.dtype == torch.double and torch.equal(before, views)
    half = views.bfloat16()
    with torch.autocast("cpu"):
        assert torch.equal(groco(*half, top_k=3), groco(*half.float(), top_k=3))


def test_gradient():
    z1, z2 = (z.requires_grad_() for z in draw(2, 4, 3))
    assert torch.autograd.gradcheck(lambda a, b: groco(a, b, top_k=2, stop_gradient=False), (z1, z2))


@pytest.mark.parametrize(
    ("views", "options", "error", "says"),
    [
        ([torch.ones(3, 2), torch.ones(2, 2)], {}, ValueError, r"z1 and z2 .* got \(3, 2\) and \(2, 2\)"),
        ([torch.ones(3, 2), torch.ones(3, 2), torch.ones(3)], {}, ValueError, "z3 must have shape"),
        ([torch.ones(1, 2)] * 2, {}, ValueError, "z1 has 1 row"),
        ([torch.ones(3, 2), torch.full((3, 2), torch.nan)], {}, ValueError, "z2 holds NaN"),
        ([torch.ones(3, 2).long(), torch.ones(3, 2)], {}, TypeError, "z1 must hold floating-point"),
        ([torch.ones(3, 2)] * 2, {"top_k": 3}, ValueError, "top_k must be 1 to 2 for a batch of 3, got 3"),
        ([torch.ones(3, 2)] * 2, {"top_k": 0}, ValueError, "top_k must be 1 to 2"),
        ([torch.ones(3, 2)] * 2, {"steepness": -1}, ValueError, "steepness must be a finite number"),
        ([torch.ones(3, 2)] * 2, {"reduction": "sum"}, ValueError, "reduction must be"),
    ],
)
def test_bad_input_is_named(views, options, error, says):
    with pytest.raises(error, match=says):
        groco(*views, **({"top_k": 1} | options))


@pytest.mark.parametrize(
    ("x", "error"),
    [
        (torch.arange(3), TypeError),
        (torch.ones(2, 0), ValueError),
        (torch.tensor([1.0, torch.nan]), ValueError),
    ],
)
def test_bad_input_of_the_network_is_named(x, error):
    with pytest.raises(error, match="x must"):
        sort_relaxed(x, steepness=1.0)
