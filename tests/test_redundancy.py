"""VICReg, Barlow Twins and Mixed Barlow Twins: the formula as a loop, exact values, bounds, and what must not matter."""

import math
from functools import partial

import pytest
import torch

from sslwork.losses import barlow_twins, columns, mixed_barlow_twins, vicreg
from sslwork.seeds import generator

FOUR = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.double)
ORDER = torch.tensor([2, 0, 4, 1, 5, 3])
mixed = partial(mixed_barlow_twins, mix=0.3, permutation=ORDER, off_diagonal=0.2, regularisation=1.5)
twins = partial(barlow_twins, off_diagonal=0.2)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.double).unbind()


def scaled(z, unbiased):
    """Column by column, row by row."""
    n, out = len(z), torch.empty_like(z)
    for j in range(z.shape[1]):
        mean = sum(z[i, j] for i in range(n)) / n
        squares = sum((z[i, j] - mean) ** 2 for i in range(n))
        spread = torch.sqrt(squares / (n - 1)) + 1e-6 if unbiased else torch.sqrt(squares / n + 1e-5)
        for i in range(n):
            out[i, j] = (z[i, j] - mean) / spread
    return out


def correlation(a, b):
    return torch.stack([
        torch.stack([sum(a[i, k] * b[i, m] for i in range(len(a))) / len(a) for m in range(b.shape[1])])
        for k in range(a.shape[1])
    ])  # fmt: skip


def identity_loop(c, weight):
    total = 0
    for i, row in enumerate(c):
        for j, entry in enumerate(row):
            total += (1 - entry) ** 2 if i == j else weight * entry**2
    return total


def twins_loop(z1, z2):
    return identity_loop(correlation(scaled(z1, False), scaled(z2, False)), 0.2)


def mixed_loop(z1, z2, z_mixed, mix=0.3, weight=0.2, regularisation=1.5):
    a, b, m = (scaled(z, True) for z in (z1, z2, z_mixed))
    permuted = torch.stack([b[i] for i in ORDER])
    loss = identity_loop(correlation(a, b), weight)
    for x in (a, b):
        target = mix * correlation(a, x) + (1 - mix) * correlation(permuted, x)
        loss += regularisation * weight * (correlation(m, x) - target).square().sum()
    return loss


def vicreg_loop(z1, z2):
    n, d = z1.shape
    loss = 25 * sum((z1[i, j] - z2[i, j]) ** 2 for i in range(n) for j in range(d)) / (n * d)
    for z in (z1, z2):
        centred = [[z[i, j] - z[:, j].mean() for j in range(d)] for i in range(n)]
        for j in range(d):
            for k in range(d):
                cov = sum(row[j] * row[k] for row in centred) / (n - 1)
                if j == k:
                    loss += 25 / 2 * torch.clamp(1 - torch.sqrt(cov + 1e-4), min=0) / d
                else:
                    loss += cov**2 / d
    return loss


CASES = {
    "barlow_twins": (twins, twins_loop, draw(2, 6, 3)),
    "mixed_barlow_twins": (mixed, mixed_loop, draw(3, 6, 3)),
    "vicreg": (vicreg, vicreg_loop, draw(2, 6, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_the_formula(name):
    """For Mixed Barlow Twins the gradient shows, too, that nothing of the target is detached."""
    loss, loop, rows = CASES[name]
    rows = [row.clone().requires_grad_() for row in rows]
    value, expected = loss(*rows), loop(*rows)
    assert value.ndim == 0 and torch.allclose(value, expected, rtol=1e-12)
    mine, theirs = (torch.autograd.grad(out, rows) for out in (value, expected))
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(mine, theirs, strict=True))
    assert torch.autograd.gradcheck(loss, rows)


@pytest.mark.parametrize("name", CASES)
def test_inputs_are_left_alone_and_half_precision_is_computed_in_single(name):
    loss, _, rows = CASES[name]
    before = [row.clone() for row in rows]
    assert loss(*rows).dtype == torch.double
    assert all(torch.equal(a, b) for a, b in zip(rows, before, strict=True))
    half = [row.bfloat16() for row in rows]
    with torch.autocast("cpu"):
        assert torch.equal(loss(*half), loss(*(row.float() for row in half)))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("bad", "error", "says"), [
    (torch.full((6, 3), torch.nan), ValueError, "NaN"),
    (torch.ones(6, 3).long(), TypeError, "floating-point"),
    (torch.ones(6), ValueError, r"shape \(N, D\), got \(6,\)"),
    (torch.ones(6, 2), ValueError, "one shape"),
    (torch.ones(1, 3), ValueError, "1 row"),
], ids=["NaN", "integers", "a vector", "unequal", "one row"])  # fmt: skip
def test_bad_rows_are_named_at_every_place(name, bad, error, says):
    loss, _, rows = CASES[name]
    for i in range(len(rows)):
        with pytest.raises(error, match=says):
            loss(*rows[:i], bad, *rows[i + 1 :])


@pytest.mark.parametrize(("call", "error", "says"), [
    (lambda z: barlow_twins(z, z, off_diagonal=-1), ValueError, "off_diagonal must be .* got -1"),
    (lambda z: vicreg(z, z, covariance=math.nan), ValueError, "covariance must be .* got nan"),
    (lambda z: mixed(z, z, z, regularisation=math.inf), ValueError, "regularisation must be .* got inf"),
    (lambda z: mixed(z, z, z, mix=1.1), ValueError, r"mix must lie in \[0, 1\], got 1.1"),
    (lambda z: mixed(z, z, z, mix=math.nan), ValueError, r"mix must lie in \[0, 1\], got nan"),
    (lambda z: mixed(z, z, z, mix=torch.ones(6)), ValueError, r"one number for the whole batch, got shape \(6,\)"),
    (lambda z: mixed(z, z, z, permutation=ORDER[:3]), ValueError, r"6 wanted, got shape \(3,\)"),
    (lambda z: mixed(z, z, z, permutation=ORDER.clamp(max=4)), ValueError, r"each of 0\.\.5 once"),
    (lambda z: mixed(z, z, z, permutation=ORDER.float()), TypeError, "whole numbers, got torch.float32"),
    (lambda z: barlow_twins(1e25 * z.float(), z.float()), ValueError, "column 0 is too large to be squared"),
])  # fmt: skip
def test_bad_options_are_named(call, error, says):
    with pytest.raises(error, match=says):
        call(draw(1, 6, 3)[0])


# Barlow Twins


@pytest.mark.parametrize("weight", [0.0, 0.0051, 0.5])
def test_barlow_twins_of_four_rows(weight):
    loss = partial(barlow_twins, off_diagonal=weight)
    for other, expected in ((FOUR, 0), (-FOUR, 8), (FOUR.flip(1), 2 + 2 * weight)):
        assert loss(FOUR, other).item() == pytest.approx(expected, abs=1e-3)
    assert torch.allclose(columns.cross_correlation(FOUR, FOUR), torch.eye(2).double(), atol=1e-4)


def test_what_must_not_matter_to_barlow_twins():
    z1, z2 = (100 * z for z in draw(2, 12, 4))  # so large that 1e-5 beside the variance does not show
    value, order = twins(z1, z2), torch.randperm(12, generator=generator(1))
    stretch, shift = torch.tensor([0.5, 2.0, 1.0, 9.0]), torch.tensor([0.0, 100.0, -3.0, 1.0])
    flip = torch.tensor([1.0, -1.0, 1.0, 1.0])
    pairs = {
        "order": (z1[order], z2[order]),
        "scale": (z1 * stretch + shift, z2),
        "sign": (z1 * flip, z2 * flip),
    }
    for name, (a, b) in (pairs | {"exchange": (z2, z1)}).items():
        assert torch.allclose(twins(a, b), value, rtol=1e-6), name
    assert torch.allclose(columns.cross_correlation(z2, z1), columns.cross_correlation(z1, z2).T)
    assert not torch.allclose(twins(z1 * flip, z2), value)


def test_rows_of_barlow_twins_are_not_scaled_to_length_one():
    z1, z2 = draw(2, 12, 4)
    length = torch.linspace(0.2, 3, 12, dtype=torch.double)[:, None]
    assert not torch.allclose(twins(z1 * length, z2), twins(z1, z2), rtol=0.01)


def test_without_weight_the_redundancy_has_no_gradient():
    c = columns.cross_correlation(*draw(2, 12, 4)).requires_grad_()
    (columns.invariance(c) + 0.0 * columns.redundancy(c)).backward()
    assert torch.equal(c.grad, c.grad.diagonal().diag())
    z1, z2 = (z.requires_grad_() for z in draw(2, 12, 4))
    mine = torch.autograd.grad(barlow_twins(z1, z2, off_diagonal=0), z1)[0]
    expected = torch.autograd.grad((1 - columns.cross_correlation(z1, z2).diagonal()).square().sum(), z1)[0]
    assert torch.equal(mine, expected)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_zero_is_out_of_reach_where_columns_outnumber_rows(n):
    z = 1e6 * draw(1, n, 12)[0]  # so large that 1e-5 beside the variance does not show
    c = columns.cross_correlation(z, z)
    assert c.square().sum() >= 12**2 / (n - 1) - 1e-6
    assert columns.redundancy(c) >= 12**2 / (n - 1) - 12 - 1e-6
    assert torch.linalg.matrix_rank(c, tol=1e-6) == n - 1
    if n == 2:
        assert torch.allclose(c.abs(), torch.ones(12, 12).double())


@pytest.mark.parametrize("weight", [0.05, 0.5, 1.0, 3.0])
def test_the_floor_holds_for_any_views_and_is_reached(weight):
    """Reached by a C with r equal eigenvalues and an equal diagonal; above weight 1, by giving columns up."""
    dim, rows = 12, 5
    least = columns.floor(dim, rows, weight)
    assert least > 0 and columns.floor(4, rows, weight) == 0
    for seed in range(5):
        z1, z2 = (z.requires_grad_() for z in draw(2, rows, dim, seed=seed))
        for _ in range(300):
            loss = barlow_twins(z1, z2, off_diagonal=weight)
            assert loss >= least
            for z, grad in zip((z1, z2), torch.autograd.grad(loss, (z1, z2)), strict=True):
                z.data -= 0.2 * grad
    turns = torch.arange(dim, dtype=torch.double)[:, None] * torch.arange(1, 3) * (2 * math.pi / dim)
    frame = torch.cat([turns.cos(), turns.sin()], 1)  # (D, r), its rows alike by symmetry
    projector = frame @ frame.T / 6  # trace r
    size = dim / (rows - 1) / (1 + min(weight, 1) * (dim / (rows - 1) - 1))
    best = size * projector if weight <= 1 else torch.diag((torch.arange(dim) < rows - 1).double())
    assert (columns.invariance(best) + weight * columns.redundancy(best)).item() == pytest.approx(least)


def test_a_constant_column_costs_one_and_stays_finite():
    z = draw(1, 6, 3)[0].float()
    z[:, 1] = 1000.1  # no float32: its mean over the rows is rounded
    z.requires_grad_()
    for unbiased in (False, True):
        assert torch.equal(columns.standardise(z, unbiased=unbiased)[:, 1], torch.zeros(6))
    c = columns.cross_correlation(z, z)
    assert not c[1].any() and not c[:, 1].any()
    assert (1 - c[1, 1]) ** 2 == 1
    for loss in (barlow_twins(z, z), mixed(z, z, z), vicreg(z, z)):
        assert torch.isfinite(torch.autograd.grad(loss, z)[0]).all()


def test_independent_views_have_a_noise_floor():
    """Where nothing goes together, the mean square of a correlation is 1 / (N - 1)."""
    z1, z2 = draw(2, 64, 100)
    noise = columns.redundancy(columns.cross_correlation(z1, z2)) / (100 * 99)
    assert noise.item() == pytest.approx(1 / 63, rel=0.05)


# Mixed Barlow Twins


def regulariser(z1, z2, z_mixed, mix=0.3, permutation=ORDER):
    options = {"mix": mix, "permutation": permutation, "off_diagonal": 1.0}
    whole, without = (mixed(z1, z2, z_mixed, **options, regularisation=weight) for weight in (1.0, 0.0))
    return (whole - without).item()


def test_without_regularisation_it_is_barlow_twins_with_the_unbiased_deviation():
    z1, z2, z_mixed = (100 * z for z in draw(3, 6, 3))
    value = mixed(z1, z2, z_mixed, regularisation=0)
    c = columns.cross_correlation(z1, z2, unbiased=True)
    assert torch.allclose(value, columns.invariance(c) + 0.2 * columns.redundancy(c))
    assert torch.allclose(c, columns.cross_correlation(z1, z2) * 5 / 6, rtol=1e-6)
    same = mixed(z1, z1, z_mixed, regularisation=0, off_diagonal=0)
    assert same.item() == pytest.approx(3 / 6**2, rel=1e-5)  # C_ii = (N-1)/N: D / N^2 remains


def test_where_the_mix_is_no_mix_nothing_remains():
    z1, z2, _ = draw(3, 6, 3)
    assert regulariser(z1, z2, z1, mix=1.0) == pytest.approx(0, abs=1e-12)
    assert regulariser(z1, z2, z2[ORDER], mix=0.0) == pytest.approx(0, abs=1e-12)
    assert regulariser(z1, z2, z2, mix=0.0) > 0.1  # the permutation counts


def test_the_exact_mix_leaves_a_rest_for_it_is_scaled_anew():
    a, b = (columns.standardise(z, unbiased=True) for z in draw(2, 6, 3))
    assert regulariser(a, b, 0.5 * a + 0.5 * b[ORDER], mix=0.5) > 0.1


def test_what_must_not_matter_to_the_regulariser():
    z1, z2, z_mixed = (100 * z for z in draw(3, 6, 3))
    value = regulariser(z1, z2, z_mixed)
    assert regulariser(z1, z2, 3 * z_mixed + 50) == pytest.approx(value, rel=1e-6)
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    # Row i of the new batch is row order[i]; its partner, ORDER[order[i]], now stands elsewhere.
    moved = order.argsort()[ORDER[order]]
    assert regulariser(z1[order], z2[order], z_mixed[order], permutation=moved) == pytest.approx(value)


def test_a_mix_of_one_alone_compares_with_the_correlations_of_view_1():
    z1, z2, z_mixed = draw(3, 6, 3)
    a, b, m = (columns.standardise(z, unbiased=True) for z in (z1, z2, z_mixed))
    expected = sum((columns.mean_product(m, x) - columns.mean_product(a, x)).square().sum() for x in (a, b))
    value = regulariser(z1, z2, z_mixed, mix=1.0, permutation=torch.arange(6))
    assert value == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize("mix", [0.0, 0.25, 1.0])
def test_two_rows_of_one_column(mix):
    z, swap = torch.tensor([[1.0], [-1.0]], dtype=torch.double), torch.tensor([1, 0])
    assert regulariser(z, z, z, mix, swap) == pytest.approx(2 * (1 - mix) ** 2, abs=1e-5)
    assert regulariser(z, z, z, torch.tensor([mix]), swap) == regulariser(z, z, z, mix, swap)


# VICReg


def test_collapse_costs_the_variance_term():
    z = torch.ones(5, 4, dtype=torch.double)
    assert vicreg(z, z).item() == pytest.approx(24.75, abs=1e-12)
    assert vicreg(z, z, variance=0).item() == 0


def test_wide_columns_pay_no_variance_term():
    z1, z2 = (10 * z for z in draw(2, 20, 3))
    assert min(z1.std(0).min(), z2.std(0).min()) > 1
    assert vicreg(z1, z2, invariance=0, covariance=0).item() == 0


def test_a_turn_of_the_columns_changes_the_covariance_alone():
    z1, z2 = (z * torch.tensor([1.0, 2.0, 3.0]) for z in draw(2, 20, 3))
    turn = torch.linalg.qr(torch.stack(draw(3, 3, seed=2)))[0]
    agree, share = partial(vicreg, variance=0, covariance=0), partial(vicreg, variance=0, invariance=0)
    assert torch.allclose(agree(z1 @ turn, z2 @ turn), agree(z1, z2))
    assert not torch.allclose(share(z1 @ turn, z2 @ turn), share(z1, z2), rtol=0.1)


def test_vicreg_has_no_covariance_across_views_and_barlow_twins_has():
    z1, z2 = draw(2, 20, 3)
    order = torch.randperm(20, generator=generator(1))
    own = partial(vicreg, invariance=0)
    assert torch.allclose(own(z1, z2[order]), own(z1, z2))
    assert not torch.allclose(twins(z1, z2[order]), twins(z1, z2), rtol=0.01)


def test_what_must_not_matter_to_vicreg():
    z1, z2 = draw(2, 20, 3)
    order = torch.randperm(20, generator=generator(1))
    for a, b in ((z2, z1), (z1[order], z2[order]), (z1 + 5, z2 + 5)):
        assert torch.allclose(vicreg(a, b), vicreg(z1, z2))
