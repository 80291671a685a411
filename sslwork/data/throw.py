"""Nuisance put into the data on purpose: every picture turned, sized and shifted once, for good."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.data.pictures import BLOCK, to_float
from sslwork.warp import affine


def throw(
    images: Tensor,
    generator: torch.Generator,
    *,
    size: int,
    turn: float,
    scale: tuple[float, float],
    shift: float,
) -> Tensor:
    """Light on black, each under a map of its own: (N, 1, H, W) uint8 -> (N, 1, size, size) uint8.

    Args:
        images: the pictures as they are, as fine as they come.
        generator: of the maps, all uniform. Picture by picture: the first maps do not depend on how many follow.
        size: side of the new pictures, pixels.
        turn: largest turn to either side, degrees (0..180).
        scale: smallest and largest factor of size (above 0).
        shift: largest move to each side, as a share of half the picture (0..1).

    Raises:
        ValueError: a strength out of its range.
    """
    low, high = scale
    if not (0 <= turn <= 180 and 0 < low <= high < math.inf and 0 <= shift <= 1):
        raise ValueError(
            "turn must lie in 0..180, scale be two factors above 0, the smaller first, and shift lie in 0..1; "
            f"got turn={turn}, scale={scale}, shift={shift}"
        )
    checks.positive(size, "size")
    uniform = torch.rand(len(images), 4, generator=generator)
    window = 1 / (low + (high - low) * uniform[:, 0])
    angle, x, y = (2 * uniform[:, 1:] - 1).T * torch.tensor([[math.radians(turn)], [shift], [shift]])
    thrown = []
    for at in torch.arange(len(images)).split(BLOCK):
        w = window[at]
        # Sampled twice as finely and averaged: a thin stroke, made small, would slip between the pixels.
        fine = affine(
            to_float(images[at]), angle=angle[at], width=w, height=w, x=x[at] * w, y=y[at] * w, size=2 * size
        )
        thrown.append((F.avg_pool2d(fine, 2) * 255).round().to(torch.uint8))
    return torch.cat(thrown)
