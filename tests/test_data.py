"""Picture sets: what is bundled, a folder of one's own, and everything a picture set refuses."""

import numpy as np
import pytest
import torch
from PIL import Image

from sslwork import data
from sslwork.data import PictureSet
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


@pytest.fixture
def album(tmp_path):
    for kind, colour in (("cats", "red"), ("dogs", "blue")):
        (tmp_path / kind).mkdir()
        for i in range(3):
            Image.new("RGB", (40, 20 + i), colour).save(tmp_path / kind / f"{i}.png")
    return tmp_path


def test_folder_reads_labels_from_sub_folders(album):
    pictures = data.load(album, size=8)
    assert pictures.class_of == ["cats"] * 3 + ["dogs"] * 3
    assert pictures.ids[0] == "cats/0.png"
    assert pictures.images[0, :, 4, 4].tolist() == [255, 0, 0]


def test_flat_folder_has_no_labels(album):
    pictures = data.load(album / "cats")
    assert pictures.labels is None and len(pictures) == 3


def test_unreadable_files_are_skipped_counted_and_named(album):
    (album / "dogs" / "broken.jpg").write_bytes(b"not a picture")
    whole = (album / "cats" / "0.png").read_bytes()
    (album / "cats" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"skipped 2 of 8 files") as caught:
        pictures = data.load(album)
    assert "cut.png" in str(caught[0].message) and "broken.jpg" in str(caught[0].message)
    assert len(pictures) == 6 and len(pictures.skipped) == 2
    assert "2 files skipped" in repr(pictures)


def test_other_modes_and_rotated_photographs(tmp_path):
    Image.new("L", (9, 9), 100).save(tmp_path / "grey.png")
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.fromarray(np.zeros((9, 9), dtype=bool)).save(tmp_path / "bits.png")
    assert data.load(tmp_path, size=4).images.shape == (3, 3, 4, 4)


def test_deep_and_clear_pictures_keep_their_look(tmp_path):
    Image.fromarray(np.full((4, 4), 2**15, dtype=np.uint16)).save(tmp_path / "a-deep.png")
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "b-clear.png")
    deep, clear = data.load(tmp_path, size=4).images
    assert (deep == 127).all(), "half of 16 bits is half of 8"
    assert (clear == 255).all(), "transparent lies on white"


def test_pictures_beside_the_sub_folders_cost_the_labels_aloud(album):
    Image.new("RGB", (4, 4)).save(album / "loose.png")
    with pytest.warns(UserWarning, match=r"no labels: 1 of 7 pictures .* loose\.png"):
        assert data.load(album).labels is None


def test_folder_without_pictures(tmp_path):
    with pytest.raises(ValueError, match="no readable picture"):
        data.load(tmp_path)
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1 tried; x\.png: cannot identify"):
        data.load(tmp_path)


@pytest.mark.parametrize("name", ["no/such/folder", "Stikers", "utils", "VisionDataset"])
def test_unknown_names_say_what_there_is(name):
    with pytest.raises((ValueError, RuntimeError), match="stickers"):
        data.load(name)


def test_torchvision_by_name(tmp_path):
    fake = data.load("FakeData", size=12, image_size=(3, 8, 8), num_classes=3)
    assert fake.images.shape == (12, 3, 8, 8)
    with pytest.raises(RuntimeError, match=r"could not get CIFAR10.*stickers"):
        data.load("CIFAR10", root=tmp_path, download=False)


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
