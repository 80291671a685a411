"""Handwritten digits: the few of 8 x 8 that scikit-learn carries, MNIST as it is, and MNIST thrown about.

On untouched MNIST the nearest neighbour in pixels is nearly always right, and nothing is left to learn. So
`affine_digits` puts nuisance into the data: every picture is turned, sized and shifted once, for good.
"""

import math

import torch
from torch import Tensor

from sslwork.data.pictures import BLOCK, PictureSet, to_float
from sslwork.seeds import generator
from sslwork.warp import affine

NAMES = [str(i) for i in range(10)]


def digits() -> PictureSet:
    """1,797 handwritten digits of 8 x 8 pixels, which scikit-learn carries: for tests, tiny and quick."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return PictureSet(
        torch.from_numpy(bunch.images / 16)[:, None].float(),
        torch.from_numpy(bunch.target),
        NAMES,
        about="UCI digits, as packaged with scikit-learn (CC BY 4.0)",
    )


def mnist(*, split: str = "train") -> PictureSet:
    """MNIST as it is: 60,000 or 10,000 grey pictures of 28 x 28, light strokes on black."""
    from sslwork.data.mnist import ABOUT, mnist_arrays  # here, so that `python -m` runs that file once

    images, labels = mnist_arrays(split)
    return PictureSet(images, labels, NAMES, about=ABOUT)


def affine_digits(
    *,
    split: str = "train",
    count: int | None = None,
    size: int = 16,
    turn: float = 45.0,
    scale: tuple[float, float] = (0.5, 1.0),
    shift: float = 0.3,
    seed: int = 0,
) -> PictureSet:
    """MNIST with one fixed affine map per picture: size x size, one channel, light strokes on black.

    Args:
        split: "train" or "test", of MNIST.
        count: so many pictures drawn without replacement (default: all). A smaller draw is the head of a larger.
        size: side of the picture, pixels.
        turn: largest turn to either side, degrees (0..180).
        scale: smallest and largest size of the digit, as a factor (above 0).
        shift: largest move of its centre to each side, as a share of half the picture (0..1).
        seed: of the draw and of the maps. Turns, sizes and moves are uniform.

    With the defaults the nearest neighbours in pixels name 79 % of 2,000 test pictures (k = 20, 20,000 to look in).

    Raises:
        ValueError: a strength out of its range, or more pictures than there are.
    """
    low, high = scale
    if not (0 <= turn <= 180 and 0 < low <= high < math.inf and 0 <= shift <= 1):
        raise ValueError(
            "turn must lie in 0..180, scale be two factors above 0, the smaller first, and shift lie in 0..1; "
            f"got turn={turn}, scale={scale}, shift={shift}"
        )
    if size < 1:
        raise ValueError(f"size must be a whole number of pixels, at least 1; got {size}")
    from sslwork.data.mnist import ABOUT, mnist_arrays

    images, labels = mnist_arrays(split)
    n = len(images)
    if count is not None and not 1 <= count <= n:
        raise ValueError(f"count must lie in 1..{n}, the {split} pictures of MNIST; got {count}")
    draw = generator(seed, ("train", "test").index(split))
    rows = torch.randperm(n, generator=draw)[:count]
    uniform = torch.rand(len(rows), 4, generator=draw)  # row by row: a smaller draw is the head of a larger
    sized = low + (high - low) * uniform[:, 0]
    angle, x, y = (2 * uniform[:, 1:] - 1).T * torch.tensor([[math.radians(turn)], [shift], [shift]])
    blocks = zip(*(each.split(BLOCK) for each in (rows, angle, 1 / sized, x / sized, y / sized)), strict=True)
    return PictureSet(
        torch.cat([_thrown(images[row], *maps, size=size) for row, *maps in blocks]),
        labels[rows],
        NAMES,
        about=f"{ABOUT}; each turned, sized and shifted here",
    )


def _thrown(images: Tensor, angle: Tensor, window: Tensor, x: Tensor, y: Tensor, *, size: int) -> Tensor:
    """(n, 1, 28, 28) uint8 -> (n, 1, size, size) uint8."""
    # Sampled twice as finely and averaged: a thin stroke of a small digit would slip between the pixels.
    fine = affine(to_float(images), angle=angle, width=window, height=window, x=x, y=y, size=2 * size)
    return (torch.nn.functional.avg_pool2d(fine, 2) * 255).round().to(torch.uint8)
