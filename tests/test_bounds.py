"""Bounds over boxes of inputs: intervals are sound, and exact radii lie between what is certified and what is found."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import nn

from sslwork import attacks, bounds, nets
from sslwork.seeds import generator, seeded


def tiny(*widths, seed=0):
    """Linear, ReLU, ..., Linear, in double precision."""
    with seeded(seed):
        chain = [
            part for a, b in itertools.pairwise(widths) for part in (nn.Linear(a, b).double(), nn.ReLU())
        ]
    return nn.Sequential(*chain[:-1])


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=generator(seed, 3), dtype=torch.double)


def conv(batch_norm=True, seed=0):
    """A small convolutional net whose batch norms have seen something, and one of whose scales is below 0."""
    net = nets.small_conv(2, 2, batch_norm=batch_norm, hidden=8, classes=3, seed=seed).double()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean += 0.3
            layer.running_var *= 2
            layer.weight.data[0] = -0.7
    return net.eval()


def test_intervals_by_a_loop():
    """Every unit on its own: positive weights take the bound of their side, negative ones the other's."""
    net, x = tiny(3, 4, 2), drawn(1, 3)
    lo, hi = (each[0].tolist() for each in (x - 0.2, x + 0.2))
    for layer in net:
        if isinstance(layer, nn.ReLU):
            lo, hi = [max(v, 0) for v in lo], [max(v, 0) for v in hi]
            continue
        new = []
        for w, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True):
            ends = [(wi * low, wi * high) for wi, low, high in zip(w, lo, hi, strict=True)]
            new.append((b + sum(map(min, ends)), b + sum(map(max, ends))))
        lo, hi = zip(*new, strict=True)
    found = bounds.ibp(net, x - 0.2, x + 0.2)
    torch.testing.assert_close(found[0][0], torch.tensor(lo).double())
    torch.testing.assert_close(found[1][0], torch.tensor(hi).double())


@pytest.mark.parametrize("net", [tiny(16, 8, 3), conv(), conv(False)], ids=["linear", "batch norm", "conv"])
def test_intervals_hold_every_point_grow_with_eps_and_shrink_to_the_logits(net):
    x = drawn(3, 1, 4, 4)
    net = nn.Sequential(nn.Flatten(), net) if isinstance(net, nn.Sequential) else net
    for bound in bounds.ibp(net, x, x):
        torch.testing.assert_close(bound, net(x))
    before = torch.zeros(3, 3).double()
    for eps in (0.05, 0.1, 0.3):
        lo, hi = bounds.ibp(net, *bounds.corners(x, eps))
        assert (hi - lo >= before).all()
        before = hi - lo
        for k in range(20):
            seen = net((x + eps * (2 * drawn(*x.shape, seed=k) - 1)).clamp(0, 1))
            assert ((seen >= lo) & (seen <= hi)).all()


def test_batch_norm_and_pixels_send_ends_to_ends_whatever_the_sign():
    bn = nn.BatchNorm2d(2).double().eval()
    bn.weight.data[0], bn.running_mean[1], bn.running_var[0] = -0.7, 0.4, 3.0
    lo = drawn(2, 2, 3, 3)
    for layer in (bn, nets.Normalise([0.3, 0.4], [0.1, 0.2]).double()):
        ends = torch.stack([layer(lo), layer(lo + 0.3)])
        for found, wanted in zip(bounds.ibp(layer, lo, lo + 0.3), (ends.amin(0), ends.amax(0)), strict=True):
            torch.testing.assert_close(found, wanted)


def test_merged_margins_are_sound_and_tighter_than_two_logits():
    net, x = tiny(5, 8, 4), drawn(6, 5)
    y = net(x).argmax(1)
    lo, hi = bounds.ibp(net, x - 0.1, x + 0.1)
    margins = bounds.margins(net, x - 0.1, x + 0.1, y)
    loose = lo.gather(1, y[:, None]) - hi
    others = torch.arange(4) != y[:, None]
    assert (margins[others] >= loose[others] - 1e-12).all()
    assert (margins[others] > loose[others] + 1e-3).any(), "what two logits share counts once"
    assert margins[~others].isinf().all()
    for k in range(20):
        z = net(x + 0.1 * (2 * drawn(6, 5, seed=k) - 1))
        assert ((z.gather(1, y[:, None]) - z)[others] >= margins[others] - 1e-12).all()
    exact = bounds.margins(net, x, x, y)
    z = net(x)
    torch.testing.assert_close(exact[others], (z.gather(1, y[:, None]) - z)[others])


def test_certified_radius_is_where_the_certificate_ends():
    net, x = tiny(2, 8, 3), drawn(8, 2)
    y = net(x).argmax(1)
    r = bounds.certified_radius(net, x, y, most=2.0, box=None)
    assert bounds.certified(net, x, y, eps=r * 0.9999, box=None).all()
    assert not bounds.certified(net, x, y, eps=r * 1.0001 + 1e-6, box=None).any()
    assert (bounds.certified_radius(net, x, (y + 1) % 3, box=None) == 0).all(), "a wrong answer has no radius"


def test_certified_below_pgd_below_clean_sample_by_sample():
    net, x = tiny(6, 12, 3), drawn(40, 6)
    y = net(x).argmax(1)
    y[:10] = (y[:10] + 1) % 3  # ten that are wrong as they are
    clean = net(x).argmax(1) == y
    for eps in (0.01, 0.05, 0.2):
        stand = attacks.right(net, attacks.pgd(net, x, y, eps=eps), y) & clean
        proved = bounds.certified(net, x, y, eps=eps)
        assert (proved <= stand).all()
    assert (bounds.certified(net, x, y, eps=0.0) == clean).all()


@pytest.mark.parametrize("widths", [(2, 6, 3), (2, 5, 4, 2)])
def test_exact_radius_lies_between_the_certified_and_that_of_a_fine_grid(widths):
    net, x = tiny(*widths, seed=1), 2 * drawn(4, 2) - 1
    y = net(x).argmax(1)
    r = bounds.exact_radius(net, x, most=2.0, box=None)
    assert (bounds.certified_radius(net, x, y, most=2.0, box=None) <= r + 1e-9).all()
    ticks = torch.linspace(-2, 2, 401, dtype=torch.double)  # 0.01 apart
    around = torch.cartesian_prod(ticks, ticks)
    for centre, label, radius in zip(x, y, r, strict=True):
        changed = net(centre + around).argmax(1) != label
        nearest = around[changed].abs().amax(1).min() if changed.any() else math.inf
        assert radius - 1e-9 <= nearest
        assert nearest <= radius + 0.05 or radius > 1.9


def test_exact_radius_by_all_activation_patterns():
    """One hidden layer: the least of one linear programme per pattern of the ReLUs and other class."""
    net, x = tiny(3, 4, 3, seed=2), drawn(3, 3)
    (W, b), (V, c) = (
        (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in (net[0], net[2])
    )
    for sample, radius in zip(x.numpy(), bounds.exact_radius(net, x, most=1.0), strict=True):
        y, least = int((V @ np.maximum(W @ sample + b, 0) + c).argmax()), math.inf
        for on, j in itertools.product(itertools.product((0, 1), repeat=4), set(range(3)) - {y}):
            sign, live = 1 - 2 * np.array(on), np.array(on)
            flips = (V[y] - V[j]) * live  # z_y - z_j within this pattern is flips @ (W x + b) + c_y - c_j
            rows = np.vstack([sign[:, None] * W, flips @ W, np.eye(3), -np.eye(3)])
            last = np.r_[np.zeros(5), -np.ones(6)][:, None]
            bound = np.r_[-sign * b, c[j] - c[y] - flips @ b, sample, -sample]
            found = linprog([0, 0, 0, 1], np.hstack([rows, last]), bound, bounds=[(0, 1)] * 3 + [(0, 1)])
            least = min(least, found.fun) if found.success else least
        assert float(radius) == pytest.approx(least, abs=1e-7)


def test_exact_radius_of_what_is_wrong_already_is_zero_and_of_what_never_changes_infinite():
    net, x = tiny(2, 4, 2), drawn(1, 2)
    y = net(x).argmax(1)
    assert bounds.exact_radius(net, x, 1 - y).item() == pytest.approx(0, abs=1e-9)
    net[2].weight.data.zero_()
    net[2].bias.data = torch.tensor([1.0, 0.0]).double()
    assert bounds.exact_radius(net, x).item() == math.inf


def test_certified_below_exact_below_found():
    net, x = tiny(2, 8, 3, seed=4), 2 * drawn(10, 2) - 1
    y = net(x).argmax(1)
    found = bounds.found_radius(net, x, y, most=2.0, box=None, restarts=2)
    exact = bounds.exact_radius(net, x, most=2.0, box=None)
    assert (bounds.certified_radius(net, x, y, most=2.0, box=None) <= exact).all()
    assert (exact <= found + 1e-9).all()
    assert found.isfinite().any()
    assert (bounds.found_radius(net, x, (y + 1) % 3, box=None) == 0).all()


def test_nearest_change_is_a_change():
    net, x = tiny(4, 6, 3), drawn(4)
    y = int(net(x[None]).argmax())
    radius, point = bounds.nearest_change(net, x, y, most=2.0, box=None)
    z = net(point[None])[0].detach()
    assert float(z.max() - z[y]) == pytest.approx(0, abs=1e-9)
    assert float((point - x).abs().max()) == pytest.approx(radius, abs=1e-9)
    margin, worst = bounds.least_margin(net, x - radius, x + radius, y)
    assert margin == pytest.approx(0, abs=1e-7), "at its radius a box just reaches the other class"
    assert bounds.least_margin(net, x - 0.9 * radius, x + 0.9 * radius, y).value > 0
    assert worst.shape == x.shape


def test_ibp_loss_by_its_terms_and_gradient():
    net, x, y = tiny(3, 5, 3), drawn(4, 3), torch.tensor([0, 1, 2, 0])
    lo, hi = bounds.ibp(net, (x - 0.1).clamp(0, 1), (x + 0.1).clamp(0, 1))
    for i, loss in enumerate(bounds.ibp_loss(net, x, y, eps=0.1, kappa=0.3)):
        worst = hi[i].clone()
        worst[y[i]] = lo[i, y[i]]
        by_hand = sum(
            part * -(z[y[i]] - torch.logsumexp(z, 0)) for part, z in ((0.3, net(x[i])), (0.7, worst))
        )
        torch.testing.assert_close(loss, by_hand)
    plain = nn.functional.cross_entropy(net(x), y, reduction="none")
    torch.testing.assert_close(bounds.ibp_loss(net, x, y, eps=0.0), plain)
    torch.testing.assert_close(bounds.ibp_loss(net, x, y, eps=0.3, kappa=1.0), plain)

    def loss_of(*weights):
        with_these = dict(zip((name for name, _ in net.named_parameters()), weights, strict=True))
        return torch.func.functional_call(Loss(net), {f"net.{k}": v for k, v in with_these.items()}, (x, y))

    assert torch.autograd.gradcheck(loss_of, tuple(p.detach().requires_grad_() for p in net.parameters()))


class Loss(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, y):
        return bounds.ibp_loss(self.net, x, y, eps=0.1).sum()


def test_bad_input_is_refused():
    net, x = tiny(2, 4, 2), drawn(3, 2)
    y = net(x).argmax(1)
    with pytest.raises(ValueError, match="one shape"):
        bounds.ibp(net, x, x[:2])
    with pytest.raises(ValueError, match="at or below hi"):
        bounds.ibp(net, x + 1, x)
    with pytest.raises(ValueError, match="at or below hi"):
        bounds.ibp(net, x, x * math.nan)
    with pytest.raises(TypeError, match="no rule for a layer Softmax"):
        bounds.ibp(nn.Sequential(net, nn.Softmax(1)), x, x)
    with pytest.raises(ValueError, match="training mode"):
        bounds.ibp(conv().train(), drawn(2, 1, 4, 4), drawn(2, 1, 4, 4) + 1)
    with pytest.raises(ValueError, match="dropout draws another mask"):
        bounds.ibp(nn.Sequential(nn.Dropout(0.5), net), x, x)
    with pytest.raises(TypeError, match="last layer"):
        bounds.certified(nn.Sequential(net, nn.ReLU()), x, y, eps=0.1)
    with pytest.raises(ValueError, match="x must lie in"):
        bounds.certified(net, x + 1, y, eps=0.1)
    with pytest.raises(ValueError, match="x must lie in"):
        bounds.exact_radius(net, x + 1)
    with pytest.raises(ValueError, match="eps must be"):
        bounds.certified(net, x, y, eps=-0.1)
    with pytest.raises(ValueError, match="kappa"):
        bounds.ibp_loss(net, x, y, eps=0.1, kappa=2.0)
    with pytest.raises(ValueError, match="y must be class indices"):
        bounds.ibp_loss(net, x, y - 2, eps=0.1)
    with pytest.raises(TypeError, match="solved exactly"):
        bounds.exact_radius(conv(), drawn(1, 1, 4, 4))
    with pytest.raises(ValueError, match="too many"):
        bounds.exact_radius(tiny(2, 300, 2), x)
