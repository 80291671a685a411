"""Scattering: the sizes, the constants and the bounds which theory gives, and a value worked out by loops."""

import math

import pytest
import torch
import torch.nn.functional as F

from sslwork import encoders
from sslwork.scattering import Scattering, frame_bound, gaussian, morlet


@pytest.fixture(scope="module")
def s():
    return Scattering(2, 4, size=16)


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("scales", "angles", "k"), [(1, 4, 5), (2, 4, 25), (2, 8, 81), (2, 16, 289), (3, 4, 61)]
)
def test_channels_are_as_many_as_the_formula_says(scales, angles, k):
    net = Scattering(scales, angles, size=16)
    assert net.channels == 1 + angles * scales + angles**2 * scales * (scales - 1) // 2 == k
    assert net(draw(2, 3, 16, 16)).shape == (2, 3 * k, 16 >> scales, 16 >> scales)
    assert all(len(path) < 2 or path[1][0] > path[0][0] for path in net.paths), "only coarser after finer"


def test_value_by_circular_convolution_in_loops(s):
    """One map of each order, at one place, by sums over places in float64."""
    x = draw(1, 1, 16, 16).double()
    padded = F.pad(x, [4] * 4, mode="reflect")[0, 0].to(torch.complex128)
    waves = {
        (j, turn): morlet(24, 0.8 * 2**j, 0.75 * math.pi / 2**j, (1 - turn) * math.pi / 4, 1.0)
        for j in (0, 1) for turn in range(4)
    }  # fmt: skip
    line = gaussian(24, 1.6).to(torch.complex128)

    def convolved(field, kernel):
        return sum(kernel[i, j] * field.roll((i, j), (0, 1)) for i in range(24) for j in range(24))

    for path in [(), ((0, 2),), ((1, 3),), ((0, 1), (1, 2))]:
        field = padded
        for step in path:
            field = convolved(field, waves[step]).abs().to(torch.complex128)
        low = convolved(field, line[:, None] * line).real[4:20:4, 4:20:4]
        torch.testing.assert_close(s(x)[0, s.paths.index(path)].double(), low, rtol=1e-4, atol=1e-6)


def test_wavelets_have_no_mean_and_the_constant_stays(s):
    out = s(torch.full((1, 1, 16, 16), 0.7))
    torch.testing.assert_close(out[:, 0], torch.full((1, 4, 4), 0.7))
    assert out[:, 1:].abs().max() < 1e-6
    assert abs(gaussian(24, 1.6).sum() - 1) < 1e-12


@pytest.mark.parametrize(("scales", "angles", "size"), [(1, 4, 16), (2, 4, 16), (2, 8, 32), (3, 6, 32)])
def test_it_does_not_expand(scales, angles, size):
    net = Scattering(scales, angles, size=size)
    assert frame_bound(net).max() <= 1.001
    assert frame_bound(net).min() > 0.05, "no frequency gets lost altogether"
    x, y = draw(4, 1, size, size), draw(4, 1, size, size, seed=1)
    near, far = ((net(a) - net(b)).flatten(1).norm(dim=1) for a, b in ((x, x + 0.01 * y), (x, y)))
    assert (near <= 0.01 * y.flatten(1).norm(dim=1)).all() and (far <= (x - y).flatten(1).norm(dim=1)).all()


def test_sign_and_scale(s):
    x = draw(4, 1, 16, 16) - 0.5
    torch.testing.assert_close(s(2 * x), 2 * s(x))
    torch.testing.assert_close(s(-x)[:, 1:], s(x)[:, 1:])
    assert torch.equal(s(x), s(x)), "nothing in it is random"


def test_a_shift_moves_it_less_than_the_pixels():
    from sslwork import data

    digits = data.load("affine-digits", count=64, size=32, turn=0, scale=(0.9, 0.9), shift=0)
    x, s = data.to_float(digits.images), Scattering(2, 4, size=32)

    def change(a, b):
        return (a - b).flatten(1).norm(dim=1) / a.flatten(1).norm(dim=1)

    moved = x.roll(1, dims=3)
    assert change(s(x), s(moved)).mean() < 0.6 * change(x, moved).mean()


def test_a_quarter_turn_turns_the_maps_and_rolls_the_angles(s):
    x = draw(16, 1, 16, 16)
    x = F.avg_pool2d(x, 3, 1, 1)
    turned = s(x.rot90(1, (2, 3)))
    back = turned.rot90(-1, (2, 3))[:, 5:9]  # order 1, scale 1
    far = [(back - s(x)[:, 5:9].roll(by, 1)).norm() for by in range(4)]
    assert min(range(4), key=far.__getitem__) == 2


def test_nothing_can_be_trained(s):
    assert not list(s.parameters()) and not s.state_dict()
    assert not s(draw(1, 1, 16, 16).requires_grad_()).requires_grad


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Scattering(0, 4, size=16), "scales and angles must be at least 1, got scales=0"),
        (lambda: Scattering(2, 4, size=18), r"a multiple of 2 \*\* scales = 4.*got 18"),
        (lambda: Scattering(2, 4, size=4), "twice that at least"),
        (lambda: Scattering(2, 4, size=16)(draw(2, 1, 32, 32)), r"16 x 16, got \(2, 1, 32, 32\)"),
    ],
)
def test_bad_input(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_encoder_learns_in_its_adapter_alone():
    encoder = encoders.scattering(size=16, seed=1)
    images = draw(3, 3, 16, 16)
    assert encoder(images).shape == (3, encoder.out_features)
    conv = sum(p.numel() for p in encoders.conv(32, 3).parameters())
    assert sum(p.numel() for p in encoder.parameters()) <= conv / 4
    encoder(images).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())
    other = encoders.scattering(size=16, seed=2)
    assert not torch.equal(next(encoder.parameters()), next(other.parameters()))
    coloured = encoders.scattering(size=16, grey=False)
    assert coloured(images).shape == (3, coloured.out_features)


def test_figures_are_drawn(s):
    from sslwork.plots import filters

    assert len(filters.filter_bank(s).axes) == 8 + 1
    assert [ax.get_title("left") for ax in filters.scattered(s, draw(1, 16, 16)).axes] == [
        "picture", "order 0: 1 map", "order 1: 8 maps", "order 2: 16 maps",
    ]  # fmt: skip
    assert len(filters.scattered(Scattering(1, 4, size=16), draw(1, 16, 16)).axes) == 3
    pictures, curves = draw(2, 1, 16, 16), {"pixels": [0.0, 0.5], "scattering": [0.0, 0.2]}
    fig = filters.changes(pictures, ["a", "b"], curves, [0.0, 1.0], 0.5, along="shift")
    assert len(fig.axes) == 3
    with pytest.raises(ValueError, match="one value per step, 3"):
        filters.changes(pictures, ["a", "b"], curves, [0.0, 1.0, 2.0], 0.5, along="shift")


def test_budget_draws_each_series_in_its_colour():
    from sslwork.plots.budget import budget

    panels = {
        "parameters": {"a": {10: [1.0, 2.0]}, "b": {99: [3.0, 4.0]}},
        "pictures": {"b": {5: [3.0], 50: [4.0]}},
    }
    left, right = budget(panels, label="k-NN").axes
    assert left.lines[2].get_color() == right.lines[0].get_color() != left.lines[0].get_color()
    with pytest.raises(ValueError, match="panels is empty"):
        budget({}, label="k-NN")
