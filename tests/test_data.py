"""Picture sets: what is bundled, what one knows, and everything it refuses."""

import pytest
import torch

from sslwork import data
from sslwork.data import PictureSet, pictures
from sslwork.data.openmoji import STICKERS


def test_stickers_are_what_they_say(stickers, throws):
    assert stickers.images.shape == (96, 3, 16, 16)
    assert stickers.images.dtype == torch.uint8
    assert len(stickers.names) == len(stickers.groups) == 48
    assert set(stickers.groups) == set(STICKERS)
    assert stickers.labels.bincount().tolist() == [2] * 48
    assert "OpenMoji" in stickers.about and "CC BY-SA" in stickers.about
    assert not torch.equal(stickers.images, throws.images), "test pictures are other throws"
    assert stickers.class_of[0] == "fox" and stickers.group_of[0] == "animal faces"


def test_stickers_come_from_their_seed(stickers):
    assert data.load("stickers", copies=2, size=16).fingerprint() == stickers.fingerprint()
    assert data.load("stickers", copies=2, size=16, seed=1).fingerprint() != stickers.fingerprint()


def test_each_sticker_lies_on_white_and_is_not_empty(stickers):
    corners = stickers.images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].float().amax(dim=2)
    assert (corners == 255).all(1).float().mean() > 0.9
    assert (stickers.images.float().std((1, 2, 3)) > 10).all()


def test_openmoji_has_its_categories():
    drawings = data.load("openmoji", size=8)
    assert len(drawings) > 1000 and len(drawings.names) == 8
    assert len(set(drawings.ids)) == len(drawings)


def test_digits():
    digits = data.load("digits")
    assert digits.images.shape == (1797, 1, 8, 8), "grey stays one channel"
    assert digits.raw().shape == (1797, 3 * 8 * 8)


@pytest.mark.parametrize("name", ["no/such/folder", "Stikers", "utils", "VisionDataset"])
def test_unknown_names_say_what_there_is(name):
    with pytest.raises((ValueError, RuntimeError), match="stickers"):
        data.load(name)


GOOD = torch.zeros(4, 3, 5, 5, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"images": GOOD[0]}, ValueError, r"images must have shape .* got \(3, 5, 5\)"),
        ({"images": GOOD.permute(0, 2, 3, 1)}, ValueError, "channels last"),
        ({"images": GOOD[:0]}, ValueError, "images is empty"),
        ({"images": GOOD.long()}, TypeError, "images must be uint8 .* got torch.int64"),
        ({"images": GOOD.float() + torch.nan}, ValueError, "NaN"),
        ({"images": GOOD.float() + 200}, ValueError, r"must lie in \[0, 1\].*divide by 255"),
        (
            {"images": GOOD, "labels": torch.arange(3)},
            ValueError,
            r"one entry per row: 4 wanted, got shape \(3,\)",
        ),
        ({"images": GOOD, "labels": torch.rand(4)}, TypeError, "whole numbers"),
        (
            {"images": GOOD, "labels": torch.arange(4), "names": ["a", "b"]},
            ValueError,
            r"labels must lie in 0\.\.1",
        ),
        ({"images": GOOD, "labels": torch.arange(4) - 1}, ValueError, "class indices from 0 on, got -1"),
        ({"images": GOOD, "labels": torch.arange(4) > 1}, TypeError, "whole numbers"),
        (
            {"images": GOOD, "names": ["a", "b"], "groups": ["x"]},
            ValueError,
            "one entry per name: 2 wanted, got 1",
        ),
        ({"images": GOOD, "ids": ["a"]}, ValueError, "ids must have one entry per picture"),
    ],
)
def test_bad_picture_sets(arguments, error, says):
    with pytest.raises(error, match=says):
        PictureSet(**arguments)


def test_rows_keep_everything(stickers):
    some = stickers[torch.tensor([5, 3])]
    assert torch.equal(some.images, stickers.images[[5, 3]])
    assert some.class_of == [stickers.class_of[5], stickers.class_of[3]]
    assert len(stickers[:10]) == len(stickers[range(10)]) == 10


def test_floats_survive_the_round_trip(stickers):
    again = PictureSet(data.to_float(stickers.images))
    assert torch.equal(again.images, stickers.images)
    grey = PictureSet(torch.rand(700, 1, 4, 4, generator=torch.Generator()))
    assert torch.equal(grey.images, PictureSet(data.to_float(grey.images)).images)


def test_a_gradient_passes_the_check_of_the_range(recwarn):
    images = torch.full((2, 1, 4, 4), 0.5, requires_grad=True)
    data.to_float(images).sum().backward()
    assert torch.equal(images.grad, torch.ones_like(images)) and not recwarn.list


def test_pixels_are_shared_not_copied():
    """A memory map larger than memory must pass through."""
    for images in (GOOD, GOOD[:, :1], GOOD.permute(0, 1, 3, 2)):
        assert PictureSet(images).images.data_ptr() == images.data_ptr()
    assert PictureSet(GOOD)[1:].images.data_ptr() == GOOD[1:].data_ptr()


def test_fingerprint_sees_pixels_order_and_shape(stickers):
    images = stickers.images
    changed = images.clone()
    changed[7, 1, 3, 3] += 1
    others = [changed, images.flip(0), images[1:], images.permute(0, 1, 3, 2), images[:, :1]]
    prints = [PictureSet(each).fingerprint() for each in (images, *others)]
    assert len(set(prints)) == len(prints)
    again = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert PictureSet(again).fingerprint() == prints[0], "how the pixels lie in memory does not matter"


def test_fingerprint_of_a_large_set_sees_its_ends(monkeypatch):
    monkeypatch.setattr(pictures, "HASHED_WHOLE", 1000)
    images = torch.zeros(1500, 1, 2, 2, dtype=torch.uint8)
    prints = {PictureSet(images).fingerprint()}
    for row in (0, 1499):
        changed = images.clone()
        changed[row] = 1
        prints.add(PictureSet(changed).fingerprint())
    assert len(prints) == 3
