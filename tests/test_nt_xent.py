"""NT-Xent and its similarity core: the formula as a loop, exact values, symmetries, blocks, and bad input."""

import math

import pytest
import torch

from sslwork.losses import nt_xent, similarity
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


@pytest.mark.parametrize("angle", [0.0, 1.0, math.pi])
def test_cold_single_precision_is_double_precision(angle):
    """At 0.01 similarities are worth -100 to 100: exp of the farthest is no float32, and neither is that of the nearest."""
    fan = torch.linspace(0, 0.1, 5, dtype=torch.double)
    z1, z2 = (torch.stack([a.cos(), a.sin()], 1) for a in (fan, fan + angle))
    z1.requires_grad_()
    for z in (z1, exact := z1.detach().float().requires_grad_()):
        nt_xent(z, z2.to(z.dtype), temperature=0.01).backward()
    assert nt_xent(exact, z2.float(), temperature=0.01).item() == pytest.approx(
        nt_xent(z1, z2, temperature=0.01).item(), abs=1e-4
    )
    assert torch.allclose(exact.grad.double(), z1.grad, atol=1e-3)


def direct(rows, columns, left_out, temperature):
    logits = (rows @ columns.T / temperature).masked_fill(left_out, -torch.inf)
    return logits.logsumexp(1)


@pytest.mark.parametrize("block", [1, 20, 2**22], ids=["one row", "three rows", "kept"])
@pytest.mark.parametrize("temperature", [0.4, 0.01])  # at the lower one outputs lie far apart
def test_blocks_agree_with_the_direct_form(block, temperature, monkeypatch):
    monkeypatch.setattr(similarity, "_BLOCK", block)
    draw = generator(0)
    rows, columns = (torch.randn(n, 3, generator=draw).double().requires_grad_() for n in (7, 6))
    tau = torch.tensor(temperature, dtype=torch.double, requires_grad=True)
    keys, others = torch.arange(7) % 3, torch.arange(6) % 4
    weights = torch.randn(7, generator=draw).double()
    own, none = torch.eye(7).bool(), torch.zeros(7, 6).bool()
    cases = [
        (rows, None, None, own),
        (rows, None, (keys, keys), own | (keys[:, None] == keys)),
        (
            rows,
            None,
            (keys, keys + 1),
            own | (keys[:, None] == keys + 1),
        ),  # i leaves out j, but j does not leave out i
        (rows, columns, None, none),
        (rows, columns, (keys, others), keys[:, None] == others),
    ]
    for a, b, exclude, left_out in cases:
        value = similarity.logsumexp(a, b, temperature=tau, exclude=exclude)
        expected = direct(a, a if b is None else b, left_out, tau)
        assert torch.allclose(value, expected, rtol=1e-9, atol=1e-12)
        inputs = (a, tau) if b is None else (a, b, tau)
        mine, theirs = (torch.autograd.grad(out @ weights, inputs) for out in (value, expected))
        assert all(torch.allclose(*pair, rtol=1e-9, atol=1e-12) for pair in zip(mine, theirs, strict=True))


def test_temperature_of_each_row():
    u, own = rows()[0], (torch.arange(6),) * 2
    tau = torch.linspace(0.1, 1, 6, dtype=torch.double)[:, None]
    value = similarity.logsumexp(u, u, temperature=tau, exclude=own)
    assert torch.allclose(value, direct(u, u, torch.eye(6).bool(), tau))
    with pytest.raises(ValueError, match="share one temperature"):
        similarity.logsumexp(u, temperature=tau)


@pytest.mark.parametrize("block", [10, 2**22])
def test_gradient_of_the_core(block, monkeypatch):
    monkeypatch.setattr(similarity, "_BLOCK", block)
    z1, z2 = (z.requires_grad_() for z in rows(5, 3))
    tau = torch.tensor(0.3, dtype=torch.double, requires_grad=True)
    for call in (
        lambda a, b, t: nt_xent(a, b, temperature=t),
        lambda a, b, t: similarity.logsumexp(a, b, temperature=t),
    ):
        assert torch.autograd.gradcheck(call, (z1, z2, tau))


def test_two_directions_are_two_calls():
    """The loss of CLIP: pictures find texts, texts find pictures."""
    z1, z2 = rows()
    logits = z1 @ z2.T / 0.2
    there, back = (torch.nn.functional.cross_entropy(x, torch.arange(6)) for x in (logits, logits.T))
    own = (z1 * z2).sum(1) / 0.2
    both = [similarity.logsumexp(a, b, temperature=0.2) - own for a, b in ((z1, z2), (z2, z1))]
    assert torch.allclose(torch.stack([loss.mean() for loss in both]), torch.stack([there, back]))


def test_large_batches_keep_no_square(monkeypatch):
    monkeypatch.setattr(similarity, "_BLOCK", 1000)
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
        nt_xent(*(torch.ones(100, 4, requires_grad=True) for _ in "12"))
    assert max(sizes) <= 200 * 4


def test_half_precision_is_compared_in_single():
    z1, z2 = (z.bfloat16() for z in rows())
    exact = nt_xent(z1.float(), z2.float())
    assert torch.equal(nt_xent(z1, z2), exact)
    with torch.autocast("cpu"):
        assert torch.equal(nt_xent(z1, z2), exact)


def test_a_second_derivative_is_refused():
    z1, z2 = (z.requires_grad_() for z in rows())
    with pytest.raises(NotImplementedError, match="leave out create_graph"):
        torch.autograd.grad(nt_xent(z1, z2), z1, create_graph=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda z: similarity.logsumexp(z[:1]), "row 0 has no column left"),
        (lambda z: similarity.logsumexp(z, exclude=(torch.tensor([1, 0, 0]), torch.tensor([0, 0, 0]))), "row 1 has no column left"),
        (lambda z: similarity.logsumexp(z, z[:0]), "not empty, got .* and "),
        (lambda z: similarity.logsumexp(z, z[:, :1]), r"one width .*, got \(3, 2\) and \(3, 1\)"),
        (lambda z: similarity.logsumexp(z, torch.nan * z), "row 0 meets NaN"),
        (lambda z: similarity.logsumexp(z, z, temperature=torch.tensor([[0.1], [0.0], [0.1]])), "temperature must be"),
        (lambda z: nt_xent(z, z, reduction="sum"), 'reduction must be "mean" or "none", got \'sum\''),
    ],
)  # fmt: skip
def test_bad_input_of_the_core_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call(torch.ones(3, 2))


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
