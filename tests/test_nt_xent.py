"""NT-Xent against the formula written as a loop, its exact values, its symmetries, and bad input."""

import math

import pytest
import torch

from sslwork.losses import nt_xent
from sslwork.seeds import generator


def rows(n=6, d=4, *seed):
    return torch.randn(2, n, d, generator=generator(*(seed or (0,))), dtype=torch.double)


def by_loop(z1, z2, temperature):
    u = [z / z.norm() for z in [*z1, *z2]]
    n, total = len(z1), []
    for i, a in enumerate(u):
        partner = u[(i + n) % (2 * n)]
        others = sum(math.exp(float(a @ b) / temperature) for k, b in enumerate(u) if k != i)
        total.append(-float(a @ partner) / temperature + math.log(others))
    return total


@pytest.mark.parametrize("temperature", [0.05, 0.5, 3.0])
def test_value_is_the_formula(temperature):
    z1, z2 = rows()
    expected = by_loop(z1, z2, temperature)
    assert nt_xent(z1, z2, temperature=temperature).item() == pytest.approx(
        sum(expected) / len(expected), rel=1e-12
    )
    assert nt_xent(z1, z2, temperature=temperature, reduction="none").tolist() == pytest.approx(
        expected, rel=1e-12
    )


@pytest.mark.parametrize("n", [1, 2, 5])
def test_equal_rows_guess_among_the_others(n):
    z = torch.ones(n, 3, dtype=torch.double)
    assert nt_xent(z, z).item() == pytest.approx(math.log(2 * n - 1), abs=1e-12)


def test_two_orthogonal_pairs():
    eye = torch.eye(2, dtype=torch.double)
    assert nt_xent(eye, eye, temperature=1.0).item() == pytest.approx(math.log(1 + 2 / math.e), abs=1e-12)


def test_gradient():
    z1, z2 = (z.clone().requires_grad_() for z in rows(4, 3))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, temperature=0.3), (z1, z2))


def test_gradient_of_the_anchor_is_pull_less_push():
    """BASES B1: -(1/tau) [(1 - P_positive) u_positive - sum over negatives of P u], before the unit map."""
    z1, z2 = rows(4, 3)
    u = torch.nn.functional.normalize(torch.cat([z1, z2]), dim=1)
    anchor = u[0].clone().requires_grad_()
    others, tau = u[1:], 0.3
    logits = others @ anchor / tau
    (logits.logsumexp(0) - logits[3]).backward()  # the partner of row 0 is row 4 of 8
    p = logits.detach().softmax(0)
    negatives = [i for i in range(7) if i != 3]
    expected = -((1 - p[3]) * others[3] - p[negatives] @ others[negatives]) / tau
    assert torch.allclose(anchor.grad, expected)


def test_what_must_not_matter():
    z1, z2 = rows()
    value = nt_xent(z1, z2, temperature=0.2)
    order = torch.randperm(6, generator=generator(1))
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator(2), dtype=torch.double))[0]
    length = torch.rand(6, 1, generator=generator(3), dtype=torch.double) + 0.5
    for a, b in [(z2, z1), (z1[order], z2[order]), (z1 @ turn, z2 @ turn), (length * z1, z2)]:
        assert torch.allclose(nt_xent(a, b, temperature=0.2), value, atol=1e-12)


def test_what_must_matter():
    z1, z2 = rows()
    logits = torch.nn.functional.normalize(z1, dim=1) @ torch.nn.functional.normalize(z2, dim=1).T / 0.2
    across_only = torch.nn.functional.cross_entropy(logits, torch.arange(6))
    assert not torch.isclose(nt_xent(z1, z2, temperature=0.2), across_only, rtol=1e-3)
    assert not torch.isclose(nt_xent(z1, z2.roll(1, 0)), nt_xent(z1, z2), rtol=1e-3)


def test_small_temperature_in_single_precision_stays_finite():
    z1, z2 = rows()
    assert torch.isfinite(nt_xent(z1.float(), z2.float(), temperature=1e-3))


def test_inputs_are_left_alone():
    z1, z2 = rows()
    before = z1.clone()
    assert nt_xent(z1, z2).dtype == torch.double
    assert torch.equal(before, z1)


@pytest.mark.parametrize(
    ("z1", "z2", "options", "error", "says"),
    [
        (torch.ones(3, 2), torch.ones(2, 2), {}, ValueError, r"\(3, 2\) and \(2, 2\)"),
        (torch.ones(3), torch.ones(3), {}, ValueError, r"z1 must have shape \(N, D\), got \(3,\)"),
        (
            torch.ones(3, 2).long(),
            torch.ones(3, 2),
            {},
            TypeError,
            r"z1 must hold floating-point.*z1\.float\(\)",
        ),
        (torch.ones(3, 2), torch.full((3, 2), torch.nan), {}, ValueError, "z2 holds NaN .* 3 of 3 rows"),
        (torch.ones(0, 2), torch.ones(0, 2), {}, ValueError, "z1 has 0 row"),
        ([[1.0]], torch.ones(1, 1), {}, TypeError, "z1 must be a torch tensor"),
        (torch.ones(3, 2), torch.ones(3, 2), {"temperature": 0}, ValueError, "temperature must be"),
        (torch.ones(3, 2), torch.ones(3, 2), {"temperature": math.nan}, ValueError, "temperature must be"),
    ],
)
def test_bad_input_is_named(z1, z2, options, error, says):
    with pytest.raises(error, match=says):
        nt_xent(z1, z2, **options)
