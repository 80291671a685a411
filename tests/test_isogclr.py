"""iSogCLR: its step as a loop, its fixed point and duality, its state by picture, SogCLR and DCL as limits, bad input."""

import math

import pytest
import torch
from torch.nn import functional as F

from sslwork.losses import ISogCLR, dcl, temperature_for
from sslwork.losses.robust import kl_from_uniform
from sslwork.seeds import generator


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.double)


def state(loss):
    return {name: value.clone() for name, value in loss.state_dict().items()}


def same(a, b, **options):
    return all(torch.allclose(a[name], b[name], **options) for name in a)


def by_loop(memory, z1, z2, rows, *, rho, gamma, rate, momentum, relative, low, high):
    """One step as it is written down; `memory` maps a picture to its (m, tau, u) and is changed."""
    n = len(rows)
    u = F.normalize(torch.cat([z1, z2]), dim=1)
    total = 0.0
    for i, picture in enumerate(rows.tolist()):
        former, tau, velocity = memory.get(picture, (None, 0.1, 0.0))
        means, gradients = [], []
        for a in (i, i + n):
            positive = u[a] @ u[(a + n) % (2 * n)]
            h = torch.stack([u[a] @ u[j] for j in range(2 * n) if j % n != i])
            h = h - positive if relative else h
            g = (h.detach() / tau).exp().mean()
            m = g if former is None else (1 - gamma) * former + gamma * g
            p = (h.detach() / tau).exp() / m
            total = total + (p * h).mean() - (0 if relative else positive)
            means.append(m)
            gradients.append(float(m.log() + rho - (p * h).mean().detach() / tau))
        velocity = (1 - momentum) * velocity + momentum * min(max(sum(gradients) / 2, -3), 3)
        memory[picture] = (sum(means) / 2, min(max(tau - rate * velocity, low), high), velocity)
    return total / n


@pytest.mark.parametrize("relative", [True, False])
def test_steps_are_the_formula(relative):
    """Three batches of a set of nine; pictures come back, in another order and with other neighbours."""
    options = {"rho": 0.3, "gamma": 0.7, "rate": 0.02, "momentum": 0.4, "relative": relative}
    loss, memory = ISogCLR(9, **options), {}
    for step, rows in enumerate(([4, 0, 7, 2], [7, 8, 4, 1], [2, 4, 0, 8])):
        z, rows = draw(2, 4, 3, seed=step).requires_grad_(), torch.tensor(rows)
        expected = by_loop(memory, *z, rows, **options, low=0.05, high=1.0)
        value = loss(*z, rows)
        assert value.item() == pytest.approx(expected.item(), rel=1e-12)
        mine, theirs = (torch.autograd.grad(x, z)[0] for x in (value, expected))
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    for picture, (m, tau, velocity) in memory.items():
        got = [float(x[picture]) for x in (loss.log_means.exp(), loss.temperatures, loss.velocities)]
        assert got == pytest.approx([float(m), tau, velocity], rel=1e-9)
    never = sorted(set(range(9)) - memory.keys())
    assert (loss.log_means[never] == -torch.inf).all() and (loss.temperatures[never] == 0.1).all()


def negatives(z1, z2):
    """The cosines of each of the 2N anchors to its 2N - 2 negatives."""
    u = F.normalize(torch.cat([z1, z2]), dim=1)
    n = len(z1)
    return torch.stack(
        [torch.stack([u[a] @ u[j] for j in range(2 * n) if j % n != a % n]) for a in range(2 * n)]
    )


def test_the_gradient_of_tau_is_rho_less_the_divergence():
    z1, z2 = draw(2, 5, 3)
    loss = ISogCLR(5, rho=0.3, gamma=1.0, temperature=0.4, rate=1e-3, momentum=1.0)
    for step in range(2):  # with gamma = 1 nothing is left of the former visit
        before = loss.temperatures.clone()
        p = (negatives(z1, z2) / before.repeat(2)[:, None]).softmax(1)
        kl = (p * (8 * p).log()).sum(1).view(2, 5).mean(0)
        loss(z1, z2, torch.arange(5))
        assert torch.allclose((before - loss.temperatures) / 1e-3, 0.3 - kl, atol=1e-9), step


def test_equal_negatives_let_tau_walk_down_to_its_bound():
    same, apart = torch.ones(4, 3, dtype=torch.double), torch.eye(4, dtype=torch.double)
    for z, gamma, relative in (
        (same, 0.6, True),
        (apart, 0.6, False),
        (same, 1.0, False),
        (apart, 1.0, True),
    ):
        loss = ISogCLR(4, rho=0.2, gamma=gamma, rate=0.05, momentum=1.0, relative=relative)
        for visit in range(1, 8):
            loss(z, z, torch.arange(4))
            expected = max(0.05, 0.1 - 0.05 * 0.2 * visit)
            assert loss.temperatures.tolist() == pytest.approx([expected] * 4)


def test_with_rho_zero_tau_never_falls():
    loss = ISogCLR(6, rho=0.0, gamma=1.0)
    for step in range(6):
        before = loss.temperatures.clone()
        loss(*draw(2, 6, 3, seed=step), torch.arange(6))
        assert (loss.temperatures >= before - 1e-15).all()
    assert (loss.temperatures > 0.1).all()


def test_divergence_falls_from_log_m_to_zero():
    s = draw(10, 7)
    taus = [1e-3, 0.05, 0.1, 0.5, 2.0, 1e4]
    kl = torch.stack([kl_from_uniform(s, tau) for tau in taus])
    assert (kl.diff(dim=0) <= 1e-12).all()
    assert torch.allclose(kl[0], torch.full((10,), math.log(7)).double())
    assert kl[-1].abs().max() < 1e-6
    p = (s / 0.5).softmax(1)
    assert torch.allclose(kl[3], (p * (7 * p).log()).sum(1))


def test_temperature_for_solves_and_keeps_its_bounds():
    s = draw(50, 20).tanh()
    tau = temperature_for(s, rho=0.4, min_temperature=1e-3, max_temperature=100.0)
    assert tau.dtype == torch.double and torch.allclose(
        kl_from_uniform(s, tau), torch.full((50,), 0.4).double()
    )
    left_out = torch.cat([s, torch.full((50, 3), -torch.inf)], 1)
    assert torch.equal(temperature_for(left_out.view(5, 10, 23), rho=0.4, min_temperature=1e-3, max_temperature=100.0), tau.view(5, 10))  # fmt: skip
    assert (temperature_for(s, rho=0.0) == 1).all()
    assert temperature_for(s, rho=9.0).tolist() == pytest.approx([0.05] * 50)
    assert temperature_for(torch.ones(2, 3), rho=0.1).tolist() == pytest.approx([0.05] * 2)


def test_temperatures_come_to_rest_where_the_divergence_is_rho():
    """With a mean that runs, only if h is relative to the positive: else it lags behind tau, which is caught elsewhere."""
    z = draw(6, 4)
    loss, plain = (ISogCLR(6, rho=0.4, gamma=0.8, rate=0.1, relative=r) for r in (True, False))
    for _ in range(400):
        loss(z, z, torch.arange(6))
        plain(z, z, torch.arange(6))
    s = F.normalize(z, dim=1) @ F.normalize(z, dim=1).T
    expected = temperature_for(s.masked_fill(torch.eye(6).bool(), -torch.inf), rho=0.4)
    assert 0.05 < expected.min() < expected.max() < 1
    assert torch.allclose(loss.temperatures, expected, atol=1e-9)
    assert (plain.temperatures - expected).abs().max() > 0.1


@pytest.mark.parametrize("rho", [0.05, 0.3])
def test_duality(rho):
    """Two negatives: the least F over tau is the largest expected similarity over the p that rho allows."""
    h = torch.tensor([0.3, -0.5], dtype=torch.double)

    def dual(tau):
        return float(tau * ((h / tau).logsumexp(0) - math.log(2)) + tau * rho)

    best = float(temperature_for(h, rho=rho, min_temperature=1e-3, max_temperature=1e3))
    scan = torch.linspace(0, 1, 200_001, dtype=torch.double)[1:-1]
    kl = scan * (2 * scan).log() + (1 - scan) * (2 - 2 * scan).log()
    primal = (scan * h[0] + (1 - scan) * h[1])[kl <= rho].max()
    assert dual(best) == pytest.approx(float(primal), abs=1e-5)
    assert all(dual(best) <= dual(best * factor) for factor in (0.5, 0.9, 1.1, 2.0))
    hot = 1e6 * ((h / 1e6).logsumexp(0) - math.log(2))
    assert hot.item() == pytest.approx(h.mean().item(), abs=1e-5)  # rho = 0


def test_with_tau_held_the_gradient_is_that_of_dcl():
    """Of tau times DCL, its two directions summed instead of averaged."""
    z = draw(2, 6, 4).requires_grad_()
    for tau in (0.1, 0.5):
        loss = ISogCLR(6, rho=0.3, gamma=1.0, temperature=tau, individual=False)
        (mine,) = torch.autograd.grad(loss(*z, torch.arange(6)), z)
        (theirs,) = torch.autograd.grad(2 * tau * dcl(*z, temperature=tau), z)
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_sogclr_holds_the_temperature_and_remembers_the_means():
    plain, learnt = (ISogCLR(5, rho=0.3, gamma=0.5, individual=i) for i in (False, True))
    first, rows = draw(2, 5, 3), torch.arange(5)
    assert torch.allclose(plain(*first, rows), learnt(*first, rows))  # tau moves after it is used
    expected = (negatives(*first) / 0.1).exp().mean(1).view(2, 5).mean(0).log()
    assert torch.allclose(plain.log_means, expected)
    assert (plain.temperatures == 0.1).all() and (learnt.temperatures != 0.1).all()
    once = plain.log_means.clone()
    plain(*draw(2, 5, 3, seed=1), rows)
    assert not torch.isclose(plain.log_means, once).any()


def test_state_follows_the_picture_and_not_its_place():
    rows, order = torch.tensor([8, 3, 5, 0]), torch.tensor([2, 0, 3, 1])
    straight, shuffled = (ISogCLR(9, rho=0.3, gamma=0.7) for _ in "12")
    for step in range(3):
        z = draw(2, 4, 3, seed=step)
        a, b = straight(*z, rows), shuffled(*z[:, order], rows[order])
        assert torch.allclose(a, b, atol=1e-12)
        order = order.roll(1)
    assert same(state(straight), state(shuffled), atol=1e-12)
    # Another picture with the same embeddings starts afresh.
    fresh = straight(*z, torch.tensor([1, 2, 4, 6]))
    assert torch.allclose(fresh, ISogCLR(9, rho=0.3, gamma=0.7)(*z, rows))
    assert not torch.isclose(fresh, straight(*z, rows))


def test_views_may_change_places():
    a, b = (ISogCLR(5, rho=0.3, gamma=0.7) for _ in "12")
    for step in range(2):
        z1, z2 = draw(2, 5, 3, seed=step)
        assert torch.allclose(a(z1, z2, torch.arange(5)), b(3 * z2, z1, torch.arange(5)), atol=1e-12)
    assert same(state(a), state(b), atol=1e-12)


def test_resumed_is_uninterrupted_and_evaluation_changes_nothing(tmp_path):
    def step(loss, seed):
        return loss(*draw(2, 4, 3, seed=seed), torch.randperm(8, generator=generator(seed))[:4])

    whole, half = (ISogCLR(8, rho=0.3, gamma=0.7) for _ in "12")
    values = [step(whole, seed) for seed in range(6)]
    assert [step(half, seed) for seed in range(3)] == values[:3]
    torch.save(half.state_dict(), tmp_path / "half.pt")
    other = ISogCLR(8, rho=0.3, gamma=0.7)
    other.load_state_dict(torch.load(tmp_path / "half.pt", weights_only=True))
    before = state(other)
    other.eval()
    assert step(other, 3) == values[3]  # the same loss, and no trace of it
    assert same(before, state(other), rtol=0, atol=0)
    other.train()
    assert [step(other, seed) for seed in range(3, 6)] == values[3:]
    assert same(state(whole), state(other), rtol=0, atol=0)


def test_the_first_visit_sets_the_mean():
    """Not gamma times it: log m would start far too low, and the cut at 3 hide it."""
    z = torch.eye(3)
    loss = ISogCLR(3, rho=0.3, gamma=0.01)
    loss(z, z, torch.arange(3))
    assert loss.log_means.tolist() == pytest.approx([-10.0] * 3)  # (0 - 1) / 0.1
    assert loss.velocities.tolist() == pytest.approx([0.15] * 3)


def test_steps_of_tau_are_cut():
    """Neighbours nearer than at the former visit, and cold: the running mean lags far behind."""
    far, near = torch.eye(4), torch.ones(4, 4)
    loss = ISogCLR(4, rho=0.1, gamma=0.01, rate=1e-3, momentum=1.0)
    for z in (far, near):
        loss(z, z, torch.arange(4))
    assert loss.velocities.tolist() == [-3.0] * 4
    assert loss.temperatures.tolist() == pytest.approx([0.1 - 1e-4 + 3e-3] * 4)


def test_cold_single_precision_stays_finite():
    """exp(1 / 0.005) is no float32, exp(-1 / 0.005) is 0; their logarithms are not."""
    same, apart = torch.ones(4, 4) + 0.01 * torch.eye(4), torch.eye(4)
    for z, relative, expected in ((same, False, 200), (apart, True, -200)):
        z.requires_grad_()
        loss = ISogCLR(4, rho=0.3, gamma=0.8, temperature=0.005, min_temperature=0.005, relative=relative)
        for _ in range(2):
            value = loss(z, z.detach(), torch.arange(4))
            assert torch.isfinite(value) and torch.isfinite(torch.autograd.grad(value, z)[0]).all()
            assert loss.log_means.tolist() == pytest.approx([expected] * 4, rel=0.05)
            loss.temperatures.fill_(0.005)


def test_inputs_are_left_alone_and_half_precision_is_promoted():
    z, rows = draw(2, 4, 3), torch.arange(4)
    before = z.clone()
    assert ISogCLR(4, rho=0.3, gamma=0.8)(*z, rows).dtype == torch.double
    assert torch.equal(z, before) and rows.tolist() == [0, 1, 2, 3]
    half = z.bfloat16()
    with torch.autocast("cpu"):
        value = ISogCLR(4, rho=0.3, gamma=0.8)(*half, rows)
    assert torch.equal(value, ISogCLR(4, rho=0.3, gamma=0.8)(*half.float(), rows))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"num_samples": 1}, "num_samples must be a whole number, at least 2; got 1"),
        ({"rho": -0.1}, "rho must be a finite number"),
        ({"gamma": 0.0}, "gamma must be above 0 and at most 1, got 0.0"),
        ({"momentum": 1.5}, "momentum must be above 0"),
        ({"rate": math.nan}, "rate must be a finite number"),
        ({"temperature": 0.01}, "temperature must lie within its bounds.* 0.05 <= 0.01 <= 1.0"),
        ({"min_temperature": 0.0}, "bounds, which are above 0"),
    ],
)
def test_bad_settings_are_named(options, says):
    with pytest.raises(ValueError, match=says):
        ISogCLR(**({"num_samples": 5, "rho": 0.3, "gamma": 0.8} | options))


@pytest.mark.parametrize(
    ("z", "rows", "error", "says"),
    [
        (torch.ones(2, 3, 2), [0, 1, 0], ValueError, "rows holds a picture twice"),
        (torch.ones(2, 3, 2), [0, 1, 5], ValueError, "rows must be 0 to 4, got 0 to 5"),
        (torch.ones(2, 3, 2), [0, -1, 2], ValueError, "rows must be 0 to 4, got -1 to 2"),
        (torch.ones(2, 3, 2), [0, 1], ValueError, r"rows must be 3 whole numbers.* got shape \(2,\)"),
        (torch.ones(2, 3, 2), [0.0, 1.0, 2.0], ValueError, "rows must be 3 whole numbers.*float32"),
        (torch.ones(2, 1, 2), [0], ValueError, "z1 has 1 row"),
        (torch.full((2, 3, 2), torch.nan), [0, 1, 2], ValueError, "z1 holds NaN"),
        (torch.ones(2, 3, 2).long(), [0, 1, 2], TypeError, "z1 must hold floating-point"),
    ],
)
def test_bad_input_is_named_and_leaves_the_state(z, rows, error, says):
    loss = ISogCLR(5, rho=0.3, gamma=0.8)
    with pytest.raises(error, match=says):
        loss(*z, torch.tensor(rows))
    assert same(state(loss), state(ISogCLR(5, rho=0.3, gamma=0.8)))


@pytest.mark.parametrize(
    ("similarities", "options", "error", "says"),
    [
        (torch.ones(2, 3).long(), {}, TypeError, "similarities must hold floating-point"),
        (torch.tensor([[0.1, math.nan]]), {}, ValueError, "and no NaN"),
        (torch.full((1, 2), -math.inf), {}, ValueError, "a finite number for each anchor"),
        (torch.ones(2, 0), {}, ValueError, "a finite number for each anchor"),
        (torch.ones(2, 3), {"rho": -1.0}, ValueError, "rho must be a finite number"),
        (
            torch.ones(2, 3),
            {"min_temperature": 2.0},
            ValueError,
            "must be above 0 and in order, got 2.0 and 1.0",
        ),
    ],
)
def test_bad_input_of_the_solver_is_named(similarities, options, error, says):
    with pytest.raises(error, match=says):
        temperature_for(similarities, **({"rho": 0.3} | options))
