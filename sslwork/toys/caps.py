"""Caps: classes of unequal size on the sphere, on which the temperatures of iSogCLR can be solved for at once."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.seeds import generator


def tail_sizes(largest: int, smallest: int, classes: int = 10) -> list[int]:
    """Sizes that fall exponentially: round(largest (smallest / largest)^(k / (classes - 1))).

    >>> tail_sizes(2000, 40, 4)
    [2000, 543, 147, 40]
    """
    if classes < 2 or not 1 <= smallest <= largest:
        raise ValueError(
            f"sizes must be 1 <= smallest <= largest, of at least 2 classes; got {smallest}, {largest}, {classes}"
        )
    return [round(largest * (smallest / largest) ** (k / (classes - 1))) for k in range(classes)]


def caps(sizes: Sequence[int], *, dim: int = 16, spread: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Clouds of points on the sphere, one per class: unit(centre + spread g / sqrt(dim)), g normal.

    The points of a class depend on its number alone: a larger class holds those of a smaller.

    Args:
        sizes: points of each class, at least 1.
        dim: of the space, at least 2.
        spread: > 0, length of the noise; the centres, drawn at random, have length 1.
        seed: of centres and noise.

    Returns:
        Points (N, dim) of length one in the order of classes, and their classes (N,).
    """
    checks.positive(spread, "spread")
    if not sizes or min(sizes) < 1 or dim < 2:
        raise ValueError(f"caps need at least 1 point per class and 2 dimensions, got {sizes} in {dim}")
    points = []
    for k, count in enumerate(sizes):
        draw = generator(seed, k)
        centre = F.normalize(torch.randn(dim, generator=draw), dim=0)
        points.append(centre + spread / math.sqrt(dim) * torch.randn(count, dim, generator=draw))
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return F.normalize(torch.cat(points), dim=1), labels


def to_negatives(points: Tensor, anchors: Tensor) -> Tensor:
    """Similarities of the rows `anchors` (A,) of the unit points (N, D) to all others: (A, N), -inf to themselves."""
    similarities = points[anchors] @ points.T
    similarities[torch.arange(len(anchors)), anchors] = -torch.inf
    return similarities
