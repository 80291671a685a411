"""DCL and DCLW: the formula as a loop, the identity with NT-Xent, exact values, weights, and bad input."""

import math

import pytest
import torch
from torch.nn import functional as F

from sslwork.losses import dcl, dclw, nt_xent
from sslwork.seeds import generator


def rows(n=5, d=4, seed=0):
    return torch.randn(2, n, d, generator=generator(seed), dtype=torch.double)


def by_loop(z1, z2, temperature, sigma=math.inf):
    """Each anchor's loss, with the positive truly left out; sigma makes it DCLW."""
    u = [z / z.norm() for z in [*z1, *z2]]
    n, losses = len(z1), []
    cosines = [float(u[i] @ u[i + n]) for i in range(n)]
    mean = sum(math.exp(s / sigma) for s in cosines) / n
    for i, anchor in enumerate(u):
        negatives = [float(anchor @ u[k]) / temperature for k in range(2 * n) if k % n != i % n]
        s = cosines[i % n]
        top = max(negatives)
        log_sum = top + math.log(sum(math.exp(x - top) for x in negatives))
        losses.append(-(2 - math.exp(s / sigma) / mean) * s / temperature + log_sum)
    return losses


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("temperature", [0.01, 0.1, 2.0])
def test_values_are_the_formulas(n, temperature):
    z1, z2 = rows(n)
    for value, expected in [
        (dcl(z1, z2, temperature=temperature, reduction="none"), by_loop(z1, z2, temperature)),
        (dclw(z1, z2, temperature=temperature, reduction="none"), by_loop(z1, z2, temperature, 0.5)),
    ]:
        assert value.tolist() == pytest.approx(expected, rel=1e-12)
    assert dcl(z1, z2, temperature=temperature).item() == pytest.approx(
        sum(by_loop(z1, z2, temperature)) / (2 * n)
    )


@pytest.mark.parametrize("temperature", [0.05, 0.3, 2.0])
def test_nt_xent_is_the_softplus_of_each_anchor(temperature):
    """The whole theory: NT-Xent is DCL with every gradient multiplied by q = sigmoid(l) = 1 - P(positive)."""
    z1, z2 = (z.requires_grad_() for z in rows())
    decoupled, coupled = (f(z1, z2, temperature=temperature, reduction="none") for f in (dcl, nt_xent))
    assert torch.allclose(coupled, -F.logsigmoid(-decoupled), rtol=1e-12, atol=1e-12)
    for anchor, q in enumerate(decoupled.detach().sigmoid()):
        mine, theirs = (
            torch.autograd.grad(f[anchor], (z1, z2), retain_graph=True) for f in (decoupled, coupled)
        )
        for a, b in zip(mine, theirs, strict=True):
            assert torch.allclose(q * a, b, rtol=1e-9, atol=1e-12)


def test_nt_xent_with_q_divided_out_trains_as_dcl():
    def trained(loss):
        net = torch.randn(6, 3, generator=generator(1), dtype=torch.double).requires_grad_()
        optimiser = torch.optim.SGD([net], lr=0.01, momentum=0.9)
        for step in range(20):
            optimiser.zero_grad()
            x1, x2 = rows(8, 6, seed=step)
            loss(x1 @ net, (x1 + 0.3 * x2) @ net).backward()
            optimiser.step()
        return net.detach()

    def undone(z1, z2):
        losses = nt_xent(z1, z2, reduction="none")
        return (losses / -torch.expm1(-losses.detach())).mean()  # q = 1 - exp(-NT-Xent)

    assert torch.allclose(trained(undone), trained(dcl), atol=1e-5)
    assert not torch.allclose(trained(nt_xent), trained(dcl), atol=1e-2)


def test_exact_values():
    eye = torch.eye(2, dtype=torch.double)
    value = dcl(eye, eye, temperature=1.0)
    assert value.item() == pytest.approx(-1 + math.log(2), abs=1e-12)
    assert value.sigmoid().item() == pytest.approx(0.42388, abs=1e-5)
    for n in (2, 3, 9):
        same = torch.ones(n, 3, dtype=torch.double)
        value = dcl(same, same)
        assert value.item() == pytest.approx(math.log(2 * n - 2), abs=1e-12)
        assert value.sigmoid().item() == pytest.approx((2 * n - 2) / (2 * n - 1), abs=1e-12)


def test_nothing_of_the_positive_leaks_when_cold():
    """Two opposite pairs at 0.01: the positive weighs e^200 times a negative, so a mask of -103 would not hold it back."""
    z = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    for dtype in (torch.float, torch.double):
        value = dcl(z.to(dtype), z.to(dtype), temperature=0.01).item()
        assert value == pytest.approx(-200 + math.log(2), rel=1e-6)  # and there is no floor, as NT-Xent's 0
    assert nt_xent(z, z, temperature=0.01) >= 0


def test_the_pull_does_not_fade():
    """Each pair in a plane of its own: all negatives have cosine 0, and the loss depends on the positives alone."""
    n, tau = 4, 0.3
    cosine = torch.linspace(-0.5, 0.9, n, dtype=torch.double).requires_grad_()
    z1 = torch.eye(2 * n, dtype=torch.double)[::2]
    z2 = cosine[:, None] * z1 + (1 - cosine**2).sqrt()[:, None] * z1.roll(1, 1)
    q = dcl(z1, z2, temperature=tau, reduction="none")[:n].detach().sigmoid()
    for loss, expected in [(dcl, torch.ones(n).double()), (nt_xent, q)]:
        (gradient,) = torch.autograd.grad(loss(z1, z2, temperature=tau), cosine, retain_graph=True)
        assert torch.allclose(gradient, -expected / (tau * n))


def weights_of(z1, z2, sigma):
    """What DCLW weighs each positive with, from the difference to DCL."""
    u1, u2 = (F.normalize(z, dim=1) for z in (z1, z2))
    more = dcl(z1, z2, reduction="none") - dclw(z1, z2, sigma=sigma, reduction="none")
    return 1 + 0.1 * more[: len(z1)] / (u1 * u2).sum(1)


def test_weights_have_mean_one_and_favour_the_far():
    z1, z2 = rows(7)
    weights = weights_of(z1, z2, 0.5)
    assert weights.mean().item() == pytest.approx(1, abs=1e-12)
    cosines = F.cosine_similarity(z1, z2)
    assert torch.equal(weights.argsort(descending=True), cosines.argsort())
    z2[0], z2[1:] = z1[0], -z1[1:]  # one near positive, all others far
    steep = weights_of(z1, z2, 0.01)
    assert steep.tolist() == pytest.approx([2 - 7] + [2] * 6)


def test_dclw_comes_down_to_dcl():
    z1, z2 = rows()
    assert torch.allclose(dclw(z1, z2, sigma=1e9), dcl(z1, z2), rtol=1e-7)
    assert torch.allclose(dclw(z1, 2 * z1), dcl(z1, z1), rtol=1e-12)  # equal positives, equal weights


def test_what_must_and_must_not_matter():
    z1, z2 = rows()
    order = torch.randperm(5, generator=generator(1))
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator(2), dtype=torch.double))[0]
    length = torch.rand(5, 1, generator=generator(3), dtype=torch.double) + 0.5
    for loss in (dcl, dclw):
        before = z1.clone()
        value = loss(z1, z2)
        assert value.dtype == torch.double and torch.equal(z1, before)
        for a, b in [(z2, z1), (z1[order], z2[order]), (z1 @ turn, z2 @ turn), (length * z1, z2)]:
            assert torch.allclose(loss(a, b), value, atol=1e-12)
        assert not torch.isclose(loss(z1.roll(1, 0), z2), value, rtol=1e-3)


def test_gradients():
    z1, z2 = (z.requires_grad_() for z in rows(4, 3))
    tau = torch.tensor(0.3, dtype=torch.double, requires_grad=True)
    for loss in (dcl, dclw):
        assert torch.autograd.gradcheck(lambda a, b, t, f=loss: f(a, b, temperature=t), (z1, z2, tau))


def test_a_detached_weight_is_a_number():
    z1, z2 = (z.requires_grad_() for z in rows())
    weights = weights_of(z1, z2, 0.5).detach()
    by_hand = dcl(z1, z2) - ((weights - 1) * F.cosine_similarity(z1, z2)).mean() / 0.1
    gradients = []
    for value in (by_hand, dclw(z1, z2, detach_weight=True), dclw(z1, z2)):
        assert torch.allclose(value, by_hand)
        gradients.append(torch.autograd.grad(value, z1)[0])
    assert torch.allclose(gradients[0], gradients[1])
    assert not torch.allclose(gradients[0], gradients[2], rtol=1e-2)


def test_half_precision_is_compared_in_single():
    z1, z2 = (z.bfloat16() for z in rows())
    for loss in (dcl, dclw):
        with torch.autocast("cpu"):
            assert torch.equal(loss(z1, z2), loss(z1.float(), z2.float()))


@pytest.mark.parametrize("loss", [dcl, dclw])
@pytest.mark.parametrize(
    ("z1", "z2", "options", "error", "says"),
    [
        (torch.ones(1, 2), torch.ones(1, 2), {}, ValueError, r"z1 has 1 row\(s\), at least 2"),
        (torch.ones(3, 2), torch.ones(2, 2), {}, ValueError, r"\(3, 2\) and \(2, 2\)"),
        (torch.ones(3, 2).long(), torch.ones(3, 2), {}, TypeError, "z1 must hold floating-point"),
        (torch.ones(3, 2), torch.full((3, 2), torch.nan), {}, ValueError, "z2 holds NaN"),
        (torch.ones(3, 2), torch.ones(3, 2), {"temperature": 0}, ValueError, "temperature must be"),
        (torch.ones(3, 2), torch.ones(3, 2), {"reduction": "sum"}, ValueError, "reduction must be"),
    ],
)
def test_bad_input_is_named(loss, z1, z2, options, error, says):
    with pytest.raises(error, match=says):
        loss(z1, z2, **options)


def test_sigma_is_above_zero():
    with pytest.raises(ValueError, match="sigma must be a finite number above 0"):
        dclw(*rows(), sigma=0.0)
