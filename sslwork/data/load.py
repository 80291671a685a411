"""One door to all data: `load("stickers")`, `load("CIFAR10")`, `load("my/pictures")`."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sslwork.data.folder import folder
from sslwork.data.openmoji import drawings, stickers
from sslwork.data.pictures import PictureSet


def digits() -> PictureSet:
    """1,797 handwritten digits of 8 x 8 pixels, which scikit-learn carries: for tests, tiny and quick."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return PictureSet(
        torch.from_numpy(bunch.images / 16)[:, None].float(),
        torch.from_numpy(bunch.target),
        [str(i) for i in range(10)],
        about="UCI digits, as packaged with scikit-learn (CC BY 4.0)",
    )


BUNDLED: dict[str, Callable[..., PictureSet]] = {"stickers": stickers, "openmoji": drawings, "digits": digits}


def available() -> list[str]:
    """Names that `load` knows without a download."""
    return list(BUNDLED)


def load(name: str | Path, **options: Any) -> PictureSet:
    """A picture set by name.

    Args:
        name: a bundled set (`available()`), a torchvision dataset by its class name (downloaded on first use), or
            the path of a folder of pictures.
        options: passed to the set: `split`, `copies`, `size`, `seed` for "stickers", `size` for a folder,
            `root`, `train`, ... for torchvision's.
    """
    if name in BUNDLED:
        return BUNDLED[str(name)](**options)
    if Path(name).expanduser().is_dir():
        return folder(name, **options)
    if str(name).isidentifier() and not Path(name).exists():
        return _torchvision(str(name), **options)
    raise ValueError(
        f"no picture set or folder {str(name)!r}; bundled are {available()}, or give an existing folder"
    )


def _torchvision(name: str, *, root: str | Path | None = None, **options: Any) -> PictureSet:
    """A torchvision dataset, read into memory; its own download where it offers one."""
    from platformdirs import user_cache_dir

    from sslwork.torchvision_guard import import_torchvision

    datasets = import_torchvision().datasets
    kind = getattr(datasets, name, None)
    if (
        not (isinstance(kind, type) and issubclass(kind, datasets.VisionDataset))
        or kind is datasets.VisionDataset
    ):
        raise ValueError(
            f"no picture set {name!r}: bundled are {available()}; else a folder, or a torchvision dataset"
        )
    offers = {"root": str(root or user_cache_dir("sslwork")), "download": True}
    asked = {key: value for key, value in offers.items() if key in inspect.signature(kind).parameters}
    try:
        data = kind(**(asked | options))
    except (OSError, RuntimeError) as error:
        raise RuntimeError(
            f"torchvision could not get {name}: {error}. Without a network use one of {available()}, "
            f"or put the files in place and give root=..."
        ) from error
    pictures, labels = zip(*((np.array(image.convert("RGB")), label) for image, label in data), strict=True)
    if len({picture.shape for picture in pictures}) > 1:
        raise ValueError(
            f"{name} has pictures of several sizes; give a transform=... that resizes them to one"
        )
    return PictureSet(
        torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2),
        torch.tensor(labels),
        getattr(data, "classes", ()),
        about=f"torchvision.datasets.{name}",
    )
