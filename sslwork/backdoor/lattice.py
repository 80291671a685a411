"""A lattice of faint squares over the whole picture: a trigger of which every piece is like the whole."""

import torch
from torch import Tensor

from sslwork.backdoor.patterns import add, checked


def lattice_pattern(height: int, width: int, *, alpha: float, gamma: int = 1, beta: int = 1) -> Tensor:
    """g (H, W): g[i, j] = alpha if i mod (gamma + beta) < gamma and j mod (gamma + beta) < gamma, else 0.

    Args:
        alpha: brightness of a square in 0..1; 30 / 255 is faint.
        gamma: side of a square, pixels, at least 1.
        beta: the gap between squares, pixels; 0 covers the picture.

    Raises:
        ValueError: out of range.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in 0..1, the scale of the pictures, got {alpha}; of 255 divide it")
    if gamma < 1 or beta < 0:
        raise ValueError(f"gamma must be at least 1 and beta at least 0, got {gamma} and {beta}")
    down, across = ((torch.arange(side) % (gamma + beta) < gamma).float() for side in (height, width))
    return alpha * torch.outer(down, across)


def lattice_trigger(images: Tensor, *, alpha: float = 30 / 255, gamma: int = 1, beta: int = 1) -> Tensor:
    """clip(x + g, 0, 1) with the `lattice_pattern` g in all channels: (N, C, H, W) in [0, 1] -> the same.

    Raises:
        TypeError, ValueError: bytes, another rank; and as `lattice_pattern`.

    Source: Shejwalkar, Lyu, Houmansadr 2023, arXiv 2211.00453.

    >>> int(lattice_trigger(torch.zeros(1, 1, 32, 32)).count_nonzero())
    256
    """
    return add(images, lattice_pattern(*checked(images).shape[2:], alpha=alpha, gamma=gamma, beta=beta))
