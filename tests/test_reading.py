"""Folders and datasets of one's own: read once, in order, and kept whole or not at all."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image

from sslwork import data
from sslwork.data import read, store
from sslwork.torchvision_guard import import_torchvision


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


def test_other_modes(tmp_path):
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


def test_torchvision_by_name(tmp_path):
    fake = data.load("FakeData", size=12, image_size=(3, 8, 8), num_classes=3)
    assert fake.images.shape == (12, 3, 8, 8)
    with pytest.raises(RuntimeError, match=r"could not get CIFAR10.*stickers"):
        data.load("CIFAR10", root=tmp_path, download=False)


@dataclass
class Names:
    names: list[str]


@dataclass
class Table:
    """Items as Hugging Face's datasets give them: one dict for each row, and what the columns mean."""

    pictures: list
    labels: list
    features: dict = field(default_factory=dict)
    opened: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> dict:
        self.opened.append(i)
        return {"img": self.pictures[i], "fine_label": self.labels[i]}


def plain(value: int, mode: str = "RGB", size: tuple[int, int] = (6, 6)) -> Image.Image:
    return Image.new(mode, size, value if mode == "L" else (value % 256, value // 256, 0))


def test_a_table_of_dicts():
    table = Table(
        [plain(i) for i in range(600)], [i % 2 for i in range(600)], {"fine_label": Names(["a", "b"])}
    )
    pictures = data.load(table)
    assert (pictures.images[:, :2, 0, 0].long() @ torch.tensor([1, 256])).tolist() == list(range(600))
    assert table.opened == list(range(600)), "in order, once each"
    assert pictures.names == ["a", "b"] and pictures.labels.tolist() == table.labels
    assert data.load(table, size=3).images.shape == (600, 3, 3, 3)


def test_pairs_as_torchvision_gives_them():
    fake = import_torchvision().datasets.FakeData(12, (3, 8, 8), num_classes=3)
    pictures = data.load(fake)
    assert torch.equal(
        pictures.images, data.load("FakeData", size=12, image_size=(3, 8, 8), num_classes=3).images
    )
    assert pictures.labels.tolist() == [int(label) for _, label in fake]
    assert torch.equal(data.load(torch.utils.data.Subset(fake, [5, 2])).images, pictures.images[[5, 2]])


class Named(list):
    classes = ("owl", ("cat", "tomcat"))


def test_class_names_as_torchvision_gives_them():
    birds = Named([(plain(0), 0), (plain(1), 1), (plain(2), 0)])
    for source in (birds, torch.utils.data.Subset(birds, [0, 1, 2])):
        assert data.load(source).class_of == ["owl", "cat, tomcat", "owl"]
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.1"):
        data.load(Named([(plain(0), 2)]))


def test_an_error_of_the_dataset_says_where():
    class Broken(list):
        def __getitem__(self, i):
            return {}["gone"] if i == 1 else plain(i)

    with pytest.raises(KeyError) as caught:
        data.load(Broken(range(3)))
    assert caught.value.__notes__ == ["while reading row 1"]


@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_picture_reads_alike(channels):
    array = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    image = Image.fromarray(array.squeeze(2) if channels == 1 else array)
    kinds = [image, array, tensor, tensor.float() / 255, array.astype(np.float64) / 255]
    images = data.load(kinds).images
    assert images.shape == (5, channels, 5, 7)
    assert (images == tensor).all()


def test_grey_stays_grey_until_colour_comes():
    grey = [plain(i, "L") for i in range(5)]
    assert data.load(grey).images.shape[1] == 1
    mixed = data.load([*grey, plain(9)]).images
    assert mixed.shape[1] == 3 and mixed[4].unique().tolist() == [4] and mixed[5, 1:].max() == 0


@pytest.mark.parametrize(
    ("labels", "kept", "names"),
    [
        (["owl", "cat", "owl"], [1, 0, 1], ["cat", "owl"]),
        ([torch.tensor(2), np.int64(0), 1], [2, 0, 1], []),
        ([-1, -1, -1], None, []),
        ([{"box": 3}, 1.5, None], None, []),
    ],
)
def test_labels_of_all_kinds(labels, kept, names):
    pictures = data.load([(plain(i), label) for i, label in enumerate(labels)])
    assert (None if pictures.labels is None else pictures.labels.tolist()) == kept
    assert list(pictures.names) == names


def test_labels_of_some_only():
    with pytest.warns(UserWarning, match="no labels: 1 of 3 pictures have none, row 1 for one"):
        assert data.load([(plain(0), 0), (plain(1), -1), (plain(2), 1)]).labels is None


class Cut:
    """A file that breaks off."""

    def __init__(self, *rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return 40

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        if i in self.rows:
            raise OSError("image file is truncated")
        return plain(i), i % 4


def test_unreadable_rows_are_skipped_counted_and_named(tmp_path):
    for kept_in in ({}, {"store": tmp_path / "cut.npy"}):
        with pytest.warns(UserWarning, match=r"skipped 2 of 40.*\n  row 0: image file is truncated"):
            pictures = data.load(Cut(0, 7), **kept_in)
        assert len(pictures) == 38 and pictures.labels.tolist()[:7] == [1, 2, 3, 0, 1, 2, 0]
    with pytest.raises(
        ValueError, match="no readable picture in Cut, 40 tried; row 0: image file is truncated"
    ):
        data.load(Cut(*range(40)))
    with pytest.warns(UserWarning, match="and 10 more"):
        assert len(data.load(Cut(*range(30))).skipped) == 30


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        ([], ValueError, "list is empty"),
        (iter([1]), TypeError, "must have a length and items"),
        ({"train": [1], "test": [2]}, TypeError, r"give one of \['train', 'test'\]"),
        ([plain(0), plain(0, size=(6, 4))], ValueError, r"\(6, 6\), but \(4, 6\) in row 1; give size="),
        ([{"text": "a"}], TypeError, r"no column of pictures among \['text'\]"),
        (["a.png"], TypeError, "must be a Pillow image, a tensor or an array, got str"),
        ([torch.zeros(2, 5, 5)], TypeError, r"1, 3 or 4 channels, got Tensor \(2, 5, 5\)"),
        ([torch.full((3, 5, 5), 2.0)], ValueError, r"row 0: .*must lie in \[0, 1\]"),
        ([torch.full((3, 5, 5), torch.nan)], ValueError, "row 0: .*NaN"),
    ],
)
def test_what_is_no_dataset_of_pictures(source, error, says):
    with pytest.raises(error, match=says):
        data.load(source)


@pytest.mark.parametrize("size", [0, (8, 8), 8.0])
def test_size_is_one_number_of_pixels(size, album):
    with pytest.raises(ValueError, match="size must be a whole number of pixels, at least 1; got"):
        data.load(album, size=size)


def test_pictures_of_a_folder_as_they_are(album):
    (album / "cats" / "2.png").unlink()
    with pytest.raises(ValueError, match=r"several sizes: \(20, 40\), but \(21, 40\) in cats/1\.png"):
        data.load(album, size=None)
    (album / "cats" / "1.png").unlink()
    assert data.load(album / "cats", size=None).images.shape == (1, 3, 20, 40)


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_photographs_stand_upright(ending, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # lay on its left side
    Image.linear_gradient("L").convert("RGB").save(tmp_path / f"photo.{ending}", exif=exif, quality=95)
    upright = data.load(tmp_path, size=8).images[0, 0].long()
    assert (upright[:, 0] - upright[:, -1] > 150).all(), "dark was above, and is to the right"


def test_threads_change_nothing(album):
    one, many = data.load(album, threads=1), data.load(album, threads=5)
    assert torch.equal(one.images, many.images) and one.ids == many.ids


def test_a_store_gives_what_memory_gives(album, tmp_path):
    path = tmp_path / "sub" / "cats.npy"
    in_memory, stored, again = data.load(album), data.load(album, store=path), data.load(album, store=path)
    for other in (stored, again):
        assert torch.equal(in_memory.images, other.images) and torch.equal(in_memory.labels, other.labels)
        assert in_memory.ids == other.ids and in_memory.names == other.names
        assert in_memory.fingerprint() == other.fingerprint()
    assert np.array_equal(np.load(path), in_memory.images)
    assert [each.name for each in path.parent.iterdir()] == ["cats.npy"]


def test_a_store_is_read_anew_when_its_source_changes(album, tmp_path):
    path = tmp_path / "pictures.npy"

    def written() -> int:
        return (data.load(album, store=path), path.stat().st_ino)[1]

    first = written()
    assert written() == first
    Image.new("RGB", (9, 9), "green").save(album / "cats" / "0.png")
    second = written()
    assert second != first
    assert data.load(album, store=path).images[0, :, 0, 0].tolist() == [0, 128, 0]
    assert data.load(album, store=path, size=8).images.shape[-1] == 8
    (album / "dogs" / "1.png").unlink()
    assert len(data.load(album, store=path)) == 5


def test_a_store_of_a_dataset_knows_its_pictures(tmp_path):
    path, table = tmp_path / "table.npy", Table([plain(i) for i in range(300)], [0] * 300)
    first = data.load(table, store=path)
    table.opened.clear()
    assert torch.equal(data.load(table, store=path).images, first.images)
    assert len(table.opened) == 32, "a sample tells that it is the same"
    table.pictures[-1] = plain(1)
    assert data.load(table, store=path).images[-1].max() == 1
    assert first.images[-1].max() == 299 - 256, "a set in use keeps its pictures"


def test_large_sets_go_to_disk_by_themselves(album, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(read, "IN_MEMORY", 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pictures = data.load(album, size=16)
    (file,) = (tmp_path / "cache").rglob("*.npy")
    assert torch.equal(store.mapped(file), pictures.images)
    assert str(file) in capsys.readouterr().out
    data.load(album, size=16)
    assert capsys.readouterr().out == "", "the second time it is there"


def test_foreign_files_are_not_written_over(album, tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, np.zeros((4, 3, 32, 32), np.uint8))
    with pytest.raises(ValueError, match=r"mine\.npy holds no pictures that were read here"):
        data.load(album, store=path)
    assert np.load(path).shape == (4, 3, 32, 32)


KILLED = """
import os, signal, sys
from PIL import Image
from sslwork import data

class Deadly(list):
    def __getitem__(self, i):
        if i == 700:
            os.kill(os.getpid(), signal.SIGKILL)
        return Image.new("RGB", (4, 4), (7, 7, 7))

data.load(Deadly(range(1000)), store=sys.argv[1])
"""


def test_a_half_written_store_is_never_taken_for_whole(tmp_path):
    path = tmp_path / "set.npy"
    for former in (False, True):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert path.exists() == former
        pictures = data.load([plain(i) for i in range(3)], store=path)
        assert pictures.images[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_an_error_leaves_nothing_behind(tmp_path):
    def blocks():
        yield np.zeros((2, 3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.gather(blocks(), rows=4, path=tmp_path / "x.npy")
    with pytest.raises(ValueError, match=r"\(3,\) float64 came first, then \(1,\) float64"):
        store.gather([np.zeros((2, 3)), np.zeros((2, 1))], rows=4, path=tmp_path / "x.npy")
    with pytest.raises(OSError, match=r"8000000\.0 GB are needed .*x\.npy"):
        store.gather([np.zeros((2, 1))], rows=10**15, path=tmp_path / "x.npy")
    with pytest.raises(ValueError, match="no rows came"):
        store.gather([], rows=4)
    assert os.listdir(tmp_path) == []


def test_a_store_says_its_length_whatever_was_expected(tmp_path):
    for rows in (1, 3, 10**6):
        block = np.arange(6.0).reshape(2, 3).T  # (3, 2), columns first in memory
        assert store.gather([block], rows=rows, path=tmp_path / "x.npy").tolist() == block.tolist()
