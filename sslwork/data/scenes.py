"""Scenes of three factors that are known and independent: which digit, in which ink, on which grating."""

import colorsys
import math

import torch
from torch import Tensor

from sslwork.data.digits import affine_digits
from sslwork.data.pictures import BLOCK, PictureSet, to_float
from sslwork.seeds import generator

INKS = ("red", "yellow", "green", "cyan", "blue", "magenta")
WAVES = 3  # of the grating, across the picture
GREY = 0.25  # of the background on the whole, darker than any ink


def scenes(
    split: str = "train",
    *,
    count: int = 8000,
    size: int = 16,
    ink: float = 1.0,
    grating: float = 0.75,
    digits: bool = True,
    seed: int = 0,
) -> tuple[PictureSet, dict[str, Tensor]]:
    """MNIST digits in one of 6 inks on one of 6 gratings of any phase, and what each factor is.

    Ink, grating and phase are drawn uniformly and independently; the digit comes as MNIST has it. Turned down, `ink`
    and `grating` make their factor hard to see, and at 0 invisible.

    Args:
        split: "train" or "test", of MNIST.
        count: so many scenes. Fewer are the head of more.
        size: side of the picture, pixels.
        ink: saturation of the ink, 0 (white) to 1 (pure).
        grating: contrast of the background, 0 (even grey) to 1 (down to black).
        digits: False gives the same backgrounds with no digit on them, for a view that drops the digit.
        seed: of all that is drawn.

    Returns:
        The pictures, labelled with their digit, and the factors "digit" (0..9), "colour" (0..5, see INKS) and
        "texture" (0..5, in steps of 30 degrees), each (count,).

    Raises:
        ValueError: a strength out of 0..1, or more scenes than MNIST has digits.
    """
    for name, value in (("ink", ink), ("grating", grating)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in 0..1, got {value}")
    stamps = affine_digits(split=split, count=count, size=size, turn=0, scale=(1, 1), shift=0, seed=seed)
    draw = generator(seed, 1, ("train", "test").index(split))
    colour, texture, phase = torch.rand(count, 3, generator=draw).T  # row by row: fewer are the head of more
    colour, texture = (6 * colour).long(), (6 * texture).long()
    hues = [colorsys.hsv_to_rgb(i / len(INKS), ink, 1.0) for i in range(len(INKS))]
    inks = torch.tensor(hues, dtype=torch.float32)[colour]  # (N, 3)
    blocks = []
    for at in torch.arange(count).split(BLOCK):
        images = _gratings(texture[at], 2 * math.pi * phase[at], size, grating).expand(-1, 3, -1, -1)
        if digits:
            images = images.lerp(inks[at, :, None, None], to_float(stamps.images[at]))
        blocks.append((images * 255).round().to(torch.uint8))
    pictures = PictureSet(
        torch.cat(blocks), stamps.labels, stamps.names, about=f"{stamps.about}, on gratings"
    )
    return pictures, {"digit": stamps.labels, "colour": colour, "texture": texture}


def _gratings(texture: Tensor, phase: Tensor, size: int, contrast: float) -> Tensor:
    """Waves across the picture in one of six directions: (N,), (N,) -> (N, 1, size, size)."""
    angle = (texture * math.pi / 6)[:, None, None]
    at = torch.arange(size) / size
    along = angle.cos() * at + angle.sin() * at[:, None]  # (N, size, size)
    waves = torch.cos(2 * math.pi * WAVES * along + phase[:, None, None])
    return (GREY * (1 + contrast * waves))[:, None]
