"""A dataset of one's own, as a source of pictures: what its items and its class names say."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from sslwork.data.pixels import UNREADABLE, pixels

# Columns as Hugging Face's datasets call them, in the order in which they are looked for.
IMAGES = ("image", "img", "picture")
LABELS = ("label", "labels", "fine_label", "target")
SAMPLE = 32  # items which tell one dataset from another


class Items:
    """Anything with a length whose items are pictures, (picture, label, ...) or dicts with such columns.

    `items[i]` is (picture, label). A label is a whole number from 0 on or a name; anything else, and -1, counts as
    none.
    """

    threads = 1  # a dataset is not known to bear several readers at once
    channels = 1  # at least; more where there is colour
    named = False

    def __init__(self, dataset: Any) -> None:
        self.about = type(dataset).__name__
        if isinstance(dataset, Mapping):
            raise TypeError(f"a {self.about} of several datasets: give one of {list(dataset)}")
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(
                f"a dataset must have a length and items, a {self.about} has not; list(...) makes one"
            )
        self.dataset = dataset
        self.place = f"{type(dataset).__module__}.{type(dataset).__qualname__} {len(dataset)}"
        self.classes = _class_names(dataset) or _class_names(
            getattr(dataset, "dataset", None)
        )  # torch's Subset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> tuple[Any, int | str | None]:
        item = self.dataset[i]
        if isinstance(item, Mapping):
            found = [key for key in IMAGES if key in item]
            found += [key for key, value in item.items() if isinstance(value, Image.Image)]
            if not found:
                raise TypeError(f"no column of pictures among {list(item)}; rename it to {IMAGES[0]!r}")
            return item[found[0]], _label(next((item[key] for key in LABELS if key in item), None))
        if isinstance(item, tuple | list) and item:
            return item[0], _label(item[1] if len(item) > 1 else None)
        return item, None

    def name(self, i: int) -> str:
        return f"row {i}"

    def stamp(self) -> list[Any]:
        """The length, and some pictures with their labels."""
        return [len(self), *(self._told(int(i)) for i in np.linspace(0, len(self) - 1, SAMPLE))]

    def _told(self, i: int) -> Any:
        try:
            picture, label = self[i]
            array = pixels(picture, None)
            return array.shape, array.tobytes().hex(), label
        except UNREADABLE as error:
            return type(error).__name__


def _label(label: Any) -> int | str | None:
    if getattr(label, "shape", None) == ():  # a scalar of torch or numpy
        label = label.item()
    return label if isinstance(label, str) or (isinstance(label, int) and label >= 0) else None


def _class_names(dataset: Any) -> list[str]:
    """`classes` as in torchvision, or the names in `features` as in Hugging Face's datasets."""
    if names := getattr(dataset, "classes", None):
        return [", ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in names]
    features = getattr(dataset, "features", None) or {}
    column = next((features[key] for key in LABELS if key in features), None)
    return list(getattr(column, "names", None) or [])
