"""Views: off means off, per-picture randomness, replay, and agreement with torchvision's operations."""

import math
from dataclasses import replace

import pytest
import torch

from sslwork import data
from sslwork.data import to_float
from sslwork.seeds import generator
from sslwork.views import DIGITS, LIMITS, Views
from sslwork.warp import affine

OFF = Views(**dict.fromkeys(LIMITS, 0.0))


def only(**strengths):
    return Views(**(dict.fromkeys(LIMITS, 0.0) | strengths))


def test_switched_off_changes_nothing(stickers):
    view = OFF(stickers.images, generator(0))
    assert torch.allclose(view, to_float(stickers.images), atol=1e-5)


@pytest.mark.parametrize("name", LIMITS)
def test_each_change_alone_changes_pictures_within_the_range(stickers, name):
    view = only(**{name: min(LIMITS[name], 0.9)})(stickers.images, generator(0))
    assert view.shape == stickers.images.shape
    assert not torch.allclose(view, to_float(stickers.images), atol=1e-2)
    assert view.min() >= 0 and view.max() <= 1 and torch.isfinite(view).all()


def test_every_picture_gets_its_own_change(stickers):
    same = stickers.images[:1].expand(32, -1, -1, -1)
    views = Views()(same, generator(0))
    assert len({view.sum().item() for view in views}) == 32


def test_seed_decides(stickers):
    a, b, c = (Views()(stickers.images, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)
    first, second = Views().pair(stickers.images, generator(0))
    assert not torch.equal(first, second)


def test_replay_moves_one_thing_only(stickers):
    """With one draw, the hue slider changes colours and leaves shapes: the sum of the channels stays."""
    drawn = Views().draw(stickers.images, generator(0))
    still, turned = (only(rotate=40, crop=0.5, hue=hue).apply(stickers.images, drawn) for hue in (0, 0.1))
    assert (still - turned).abs().amax() > 0.2
    unclipped = ((turned > 0) & (turned < 1)).all(1)
    assert torch.allclose(still.mean(1)[unclipped], turned.mean(1)[unclipped], atol=1e-4)


def test_mirror_is_a_mirror(stickers):
    assert torch.allclose(
        only(flip=1)(stickers.images, generator(0)), to_float(stickers.images).flip(-1), atol=1e-5
    )


def test_grey_has_no_colour(stickers):
    view = only(grey=1)(stickers.images, generator(0))
    assert torch.allclose(view[:, 0], view[:, 2], atol=1e-5)
    luma = (to_float(stickers.images) * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    assert torch.allclose(view[:, 1], luma, atol=1e-5)


def test_hue_keeps_lightness_and_grey():
    grey = torch.full((1, 3, 4, 4), 0.4)
    assert torch.allclose(only(hue=0.5)(grey, generator(0)), grey, atol=1e-5)


def test_turn_agrees_with_rot90(stickers):
    images = to_float(stickers.images)
    n = len(images)
    one, zero = torch.ones(n), torch.zeros(n)
    turned = affine(images, angle=one * math.pi / 2, width=one, height=one, x=zero, y=zero)
    assert torch.allclose(turned, images.rot90(1, (2, 3)), atol=1e-4) or torch.allclose(
        turned, images.rot90(-1, (2, 3)), atol=1e-4
    )


def test_windows_are_those_of_affine_grid():
    images, draw = torch.rand(5, 3, 6, 8, generator=generator(0)), generator(1)
    angle, width, height, x, y = torch.rand(5, 5, generator=draw) - 0.5
    rows = [[width * angle.cos(), -height * angle.sin(), x], [width * angle.sin(), height * angle.cos(), y]]
    theta = torch.stack([torch.stack(row, 1) for row in rows], 1)
    for size, shape in ((None, (6, 8)), (4, (4, 4))):
        grid = torch.nn.functional.affine_grid(theta, [5, 3, *shape], align_corners=False)
        expected = torch.nn.functional.grid_sample(images, grid, align_corners=False)
        cut = affine(images, angle=angle, width=width, height=height, x=x, y=y, size=size)
        assert torch.allclose(cut, expected, atol=1e-5)


def test_colours_change_one_after_the_other(stickers):
    """All at once in one matrix is: brightness, contrast about the mean, hue, saturation."""
    views = only(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, grey=0.2)
    drawn = views.draw(stickers.images, generator(0))
    expected = to_float(stickers.images)
    for name in ("brightness", "contrast", "hue", "saturation", "grey"):
        expected = only(**{name: getattr(views, name)})._colour(expected, drawn)
    assert torch.allclose(views.apply(stickers.images, drawn), expected.clamp(0, 1), atol=1e-5)
    contrast = 1 + 0.4 * (2 * drawn["contrast"] - 1)[:, None, None, None]
    mean = to_float(stickers.images).mean((1, 2, 3), keepdim=True)
    stretched = (to_float(stickers.images) - mean) * contrast + mean
    alone = only(contrast=0.4).apply(stickers.images, drawn)
    assert torch.allclose(alone, stretched.clamp(0, 1), atol=1e-5)


def test_sliders_start_smoothly(stickers):
    """With one draw, almost nothing of any change is almost no change, whatever the others do."""
    drawn = Views(noise=0.5, cutout=0.5).draw(stickers.images, generator(0))
    for name in LIMITS.keys() - {"flip", "grey"}:
        off, on = (
            replace(Views(crop=0.5), **{name: value}).apply(stickers.images, drawn) for value in (0.0, 1e-5)
        )
        assert torch.allclose(off, on, atol=1e-3), name


def test_crop_stays_inside_the_picture():
    """A picture that is white only at its very rim: a crop without a turn shows nothing from outside."""
    ramp = torch.linspace(0, 1, 16).expand(200, 3, 16, 16)
    view = only(crop=0.9)(ramp, generator(0))
    assert (view.diff(dim=-1) >= -1e-5).all(), "reflected rims would make the ramp fall"


def test_cutout_erases_one_square_with_the_colour_of_the_rim(stickers):
    """A quarter of the side of 16 pixels: 16 pixels' worth of every picture, all of it in one square."""
    images = torch.full((200, 3, 16, 16), 0.2)
    images[:, :, 1:-1, 1:-1] = 1.0
    images[:, 0] = 0.6
    view = only(cutout=0.25)(images, generator(0))
    assert torch.allclose(view[:, 0], images[:, 0], atol=1e-5), "red is even, so its rim is like the rest"
    erased = (images - view)[:, 1, 1:-1, 1:-1] / 0.8  # the share of each pixel that is gone
    assert erased.min() > -1e-5 and erased.max() < 1 + 1e-5 and (erased.sum((1, 2)) < 16 + 1e-3).all()
    rows, columns = ((erased.amax(dim) > 1e-5).sum(1) for dim in (2, 1))
    assert rows.max() <= 5 and columns.max() <= 5
    middle = erased[(rows == 5) & (columns == 5)]
    assert torch.allclose(middle.sum((1, 2)), torch.tensor(16.0), atol=1e-3)
    assert len(view.flatten(1).unique(dim=0)) == 200, "each picture has its own place"


def test_cutout_leaves_the_other_numbers_alone(stickers):
    """A run without it draws what it always drew."""
    plain, cut = (
        only(crop=0.5, noise=0.1, cutout=side).draw(stickers.images, generator(0)) for side in (0, 0.3)
    )
    assert cut.keys() - plain.keys() == {"cut_x", "cut_y"}
    assert all(torch.equal(plain[name], cut[name]) for name in plain)


def test_views_of_digits_stay_grey_on_black():
    digits = data.load("digits").images[:200]
    view = DIGITS(digits, generator(0))
    assert torch.allclose(view[:, 0], view[:, 2], atol=1e-5)
    dim = to_float(digits).mean((1, 2, 3)) * 2
    assert (view.mean((1, 2, 3)) < dim).all(), "what is erased turns dark, not light"


def test_strength_scales_and_stops_at_the_limit():
    assert (Views() * 0) == OFF
    assert (Views() * 100).rotate == 180 and (Views() * 100).crop == 0.95
    assert (Views() * 1) == Views()


@pytest.mark.parametrize("bad", [{"crop": 1.0}, {"rotate": -1}, {"hue": 0.7}, {"flip": math.nan}])
def test_bad_strengths(bad):
    name = next(iter(bad))
    with pytest.raises(ValueError, match=f"{name} must lie in"):
        Views(**bad)


def test_integers_where_floats_belong(stickers):
    with pytest.raises(TypeError, match="images must be uint8"):
        Views()(stickers.images.int(), generator(0))
