"""CACR: the formula as a loop, bounds, limits of both temperatures, who is pulled and who is pushed, and bad input."""

import math

import pytest
import torch
from torch.nn import functional as F

from sslwork.losses import cacr
from sslwork.measures import alignment
from sslwork.seeds import generator


def draw(views=3, n=5, d=4, seed=0):
    return torch.randn(views, n, d, generator=generator(seed), dtype=torch.double)


def attraction(views, tau=1.0, **options):
    return cacr(views, tau_pos=tau, tau_neg=1.0, beta=0, **options)


def repulsion(views, tau=1.0, **options):
    return -cacr(views, tau_pos=1.0, tau_neg=tau, alpha=0, **options)


def lists(views):
    """The squared distances of each query to its positives, and to its negatives."""
    u = F.normalize(torch.as_tensor(views), dim=-1).tolist()

    def d(a, b):
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))

    ways, samples = range(len(u)), range(len(u[0]))
    positives = [[d(u[v][i], u[w][i]) for w in ways if w != v] for v in ways for i in samples]
    negatives = [
        [d(u[v][i], u[w][j]) for j in samples if j != i] for v in ways for w in ways if v < w for i in samples
    ]
    return positives, negatives


def expected(costs, sharpness):
    """Mean over queries of the cost, and of its variance, under softmax(sharpness * cost)."""
    means, variances = [], []
    for cost in costs:
        weights = [math.exp(sharpness * d) for d in cost]
        mean, square = (
            sum(w * d**p for w, d in zip(weights, cost, strict=True)) / sum(weights) for p in (1, 2)
        )
        means.append(mean)
        variances.append(square - mean**2)
    return sum(means) / len(means), sum(variances) / len(variances)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_value_is_the_formula(count):
    views = draw(count)
    positives, negatives = lists(views)
    a, r = expected(positives, 1.3)[0], expected(negatives, -0.9)[0]
    value = cacr(list(views), tau_pos=1.3, tau_neg=0.9, alpha=0.7, beta=2.0)
    assert value.item() == pytest.approx(0.7 * a - 2 * r, rel=1e-12)


def test_far_positives_and_near_negatives_weigh_most():
    views = draw()
    plain_a, plain_r = attraction(views, 0), repulsion(views, 0)
    assert attraction(views, 2.0) > plain_a and repulsion(views, 2.0) < plain_r


def test_two_views_leave_the_alignment():
    z1, z2 = draw(2)
    for tau in (0.0, 1.0, 9.0):
        assert attraction([z1, z2], tau).item() == pytest.approx(alignment(z1, z2), rel=1e-9)


@pytest.mark.parametrize("count", [2, 4])
def test_identical_views_of_an_orthonormal_batch(count):
    views = [torch.eye(6, dtype=torch.double)] * count
    assert attraction(views).abs() < 1e-12
    assert repulsion(views, 3.0).item() == pytest.approx(2, abs=1e-12)
    assert cacr(views, tau_pos=1.0, tau_neg=0.9).item() == pytest.approx(-2, abs=1e-12)


def test_bounds_are_reached():
    one, line = torch.tensor([[1.0, 0.0]] * 2), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert attraction([one, one]).item() == 0 and attraction([one, -one]).item() == 4
    assert repulsion([one, one]).item() == 0 and repulsion([line, line]).item() == 4
    for seed in range(5):
        a, r = attraction(draw(seed=seed)), repulsion(draw(seed=seed))
        assert 0 <= a <= 4 and 0 <= r <= 4


def test_at_zero_all_weigh_alike():
    positives, negatives = lists(draw())
    for value, costs in ((attraction(draw(), 0.0), positives), (repulsion(draw(), 0.0), negatives)):
        assert value.item() == pytest.approx(sum(map(sum, costs)) / sum(map(len, costs)), rel=1e-12)


@pytest.mark.parametrize("tau", [0.0, 0.8, 3.0])
def test_slope_in_the_temperatures_is_the_variance(tau):
    positives, negatives = lists(draw())
    step = 1e-5
    for cost, costs, sign in ((attraction, positives, 1), (repulsion, negatives, -1)):
        low = max(0, tau - step)
        slope = (cost(draw(), tau + step) - cost(draw(), low)) / (tau + step - low)
        variance = expected(costs, sign * tau)[1]
        assert variance > 0 and slope.item() == pytest.approx(sign * variance, rel=1e-4)


def test_sharp_weights_leave_the_extremes():
    positives, negatives = lists(draw())
    farthest, nearest = sum(map(max, positives)) / len(positives), sum(map(min, negatives)) / len(negatives)
    assert attraction(draw(), 1e6).item() == pytest.approx(farthest, rel=1e-9)
    assert repulsion(draw(), 1e6).item() == pytest.approx(nearest, rel=1e-9)


def test_equally_far_means_equal_weights_at_any_temperature():
    views = [torch.eye(6, dtype=torch.double)[i : i + 2] for i in (0, 2, 4)]  # all rows orthogonal
    for tau in (0.0, 1.0, 50.0):  # not divided by the number of positives either
        assert attraction(views, tau).item() == pytest.approx(2, abs=1e-12)
        assert repulsion(views, tau).item() == pytest.approx(2, abs=1e-12)


def slopes(d, sharpness, detach):
    """d(sum w d) / dd for each query of d (..., queries, keys), own keys out: w (1 + sharpness (d - mean_w d))."""
    own = torch.eye(d.shape[-1], dtype=torch.bool)
    w = (sharpness * d).masked_fill(own, -torch.inf).softmax(-1)
    return w if detach else w * (1 + sharpness * (d - (w * d).sum(-1, keepdim=True)))


@pytest.mark.parametrize("detach", [False, True])
def test_forces_and_their_signs(detach):
    """A positive much nearer than the mean is pushed away, a far negative pulled in; with weights held, never."""
    views = F.normalize(draw(4, 6), dim=-1).requires_grad_()
    for cost, sharpness in ((attraction, 2.0), (repulsion, -2.0)):
        cost(views, 2.0, detach_weights=detach).backward()
        z, gradient = views.detach(), torch.zeros_like(views)
        pairs = [(None, None)] if cost is attraction else [(v, w) for v in range(4) for w in range(v + 1, 4)]
        flips = 0
        for v, w in pairs:
            a, b = (z.transpose(0, 1),) * 2 if v is None else (z[v], z[w])
            slope = slopes(torch.cdist(a, b).square(), sharpness, detach)
            slope = slope / (slope.numel() / slope.shape[-1] * len(pairs))  # the mean over queries
            flips += int((slope < -1e-12).sum())
            to_a, to_b = -2 * slope @ b, -2 * slope.mT @ a  # d = 2 - 2 a.b
            if v is None:
                gradient += (to_a + to_b).transpose(0, 1)
            else:
                gradient[v] += to_a
                gradient[w] += to_b
        across = gradient - (gradient * z).sum(-1, keepdim=True) * z  # rows stay of length one
        assert torch.allclose(views.grad, across, atol=1e-9)
        assert (flips == 0) if detach else (flips > 0)
        views.grad = None


def test_a_far_negative_comes_nearer_unless_weights_are_held():
    angles = torch.tensor([0.5, 3.1], dtype=torch.double)  # a near and a far negative of the query at angle 0
    far_is_pulled = {}
    for detach in (False, True):
        angle = angles.clone().requires_grad_()
        keys = torch.stack(
            [torch.cat([torch.zeros(1), angle]).cos(), torch.cat([torch.zeros(1), angle]).sin()], 1
        )
        query = keys[:1].detach().repeat(3, 1)  # three queries at angle 0; the first meets both negatives
        repulsion([query, keys], 2.0, detach_weights=detach).backward()
        far_is_pulled[detach] = bool(
            angle.grad[1] < 0
        )  # R falls as the angle grows, so ascent on R shrinks it
        assert angle.grad[0] > 0
    assert far_is_pulled == {False: True, True: False}


def test_what_must_not_matter():
    views = draw()
    before, value = views.clone(), cacr(views, tau_pos=1.0, tau_neg=2.0)
    order = torch.randperm(5, generator=generator(1))
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator(2), dtype=torch.double))[0]
    for same in (
        views[:, order],
        views @ turn,
        views * torch.tensor([1.0, 2.0, 0.1])[:, None, None],
        tuple(views),
    ):
        assert torch.allclose(cacr(same, tau_pos=1.0, tau_neg=2.0), value, atol=1e-12)
    assert torch.allclose(attraction(views.flip(0)), attraction(views))
    assert value.dtype == torch.double and torch.equal(before, views)
    half = views.bfloat16()
    with torch.autocast("cpu"):
        assert torch.equal(cacr(half, tau_pos=1.0, tau_neg=2.0), cacr(half.float(), tau_pos=1.0, tau_neg=2.0))


def test_gradient():
    views = [z.requires_grad_() for z in draw(3, 3, 3)]
    assert torch.autograd.gradcheck(lambda *z: cacr(z, tau_pos=1.5, tau_neg=0.9), views)


@pytest.mark.parametrize(
    ("views", "options", "error", "says"),
    [
        ([torch.ones(3, 2)], {}, ValueError, "two or more views of one batch, got 1"),
        ([torch.ones(3, 2), torch.ones(3, 2), torch.ones(2, 2)], {}, ValueError, r"views\[0\] and views\[2\] must be two views"),
        ([torch.ones(1, 2)] * 2, {}, ValueError, r"views\[0\] has 1 row"),
        (torch.ones(3, 2), {}, ValueError, r"views\[0\] must have shape \(N, D\), got \(2,\)"),
        ([torch.ones(3, 2), torch.ones(3, 2).long()], {}, TypeError, r"views\[1\] must hold floating-point"),
        ([torch.ones(3, 2), torch.full((3, 2), torch.nan)], {}, ValueError, r"views\[1\] holds NaN"),
        ([torch.ones(3, 2)] * 2, {"tau_pos": -1}, ValueError, "tau_pos must be a finite number"),
        ([torch.ones(3, 2)] * 2, {"tau_neg": math.inf}, ValueError, "tau_neg must be a finite number"),
        ([torch.ones(3, 2)] * 2, {"alpha": math.nan}, ValueError, "alpha must be a finite number"),
    ],
)  # fmt: skip
def test_bad_input_is_named(views, options, error, says):
    with pytest.raises(error, match=says):
        cacr(views, **({"tau_pos": 1.0, "tau_neg": 1.0} | options))
