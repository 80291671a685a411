"""Plain triggers: a patch, a blended picture, noise. Each is a pure function of pictures in [0, 1]."""

import torch
from torch import Tensor

from sslwork.seeds import generator


def add(images: Tensor, pattern: Tensor) -> Tensor:
    """clip(x + pattern, 0, 1), a new tensor: (N, C, H, W) in [0, 1] plus (H, W), or (C, H, W).

    Bytes are refused: in them a sum above 255 would start again from 0, and bright pixels become dark.

    Raises:
        TypeError, ValueError: no floating point, NaN, another rank, or pictures and pattern of different sizes.
    """
    checked(images)
    if not torch.isfinite(pattern).all():
        raise ValueError("the pattern holds NaN or infinity; look at the strength of the trigger")
    if pattern.shape[-2:] != images.shape[-2:] or (pattern.ndim == 3 and len(pattern) != images.shape[1]):
        raise ValueError(
            f"a pattern of shape {tuple(pattern.shape)} does not fit images of shape {tuple(images.shape)}; repeat a "
            "grey channel with images.expand(-1, 3, -1, -1)"
        )
    return (images + pattern.to(images)).clamp(0, 1)


def checked(images: Tensor) -> Tensor:
    """`images` if they are (N, C, H, W) of finite floating point; else a clear error."""
    if images.ndim != 4:
        raise ValueError(
            f"images must have shape (N, C, H, W), got {tuple(images.shape)}; add a dimension with [None]"
        )
    if not images.is_floating_point():
        raise TypeError(
            f"images must be floating point in [0, 1], got {images.dtype}; use images.float() / 255"
        )
    if not torch.isfinite(images).all():
        raise ValueError("images hold NaN or infinity; look at torch.isfinite(images).flatten(1).all(1)")
    return images


def patch_trigger(
    images: Tensor, *, side: int = 3, value: float = 1.0, corner: str = "lower right"
) -> Tensor:
    """A square of one brightness in a corner, over whatever was there: (N, C, H, W) in [0, 1] -> the same.

    Args:
        side: of the square, pixels.
        value: its brightness in 0..1.
        corner: "upper" or "lower" and "left" or "right".

    Raises:
        ValueError: a square larger than the pictures, a brightness out of range, another corner.

    Source: Gu, Dolan-Gavitt, Garg 2017, arXiv 1708.06733 (BadNets).
    """
    height, width = checked(images).shape[2:]
    if not 1 <= side <= min(height, width) or not 0 <= value <= 1:
        raise ValueError(
            f"side must lie in 1..{min(height, width)} and value in 0..1, got {side} and {value}"
        )
    down, _, across = corner.partition(" ")
    if down not in ("upper", "lower") or across not in ("left", "right"):
        raise ValueError(f'corner must be "upper" or "lower" and "left" or "right", got {corner!r}')
    rows = slice(0, side) if down == "upper" else slice(height - side, height)
    columns = slice(0, side) if across == "left" else slice(width - side, width)
    images = images.clone()
    images[..., rows, columns] = value
    return images


def blend_trigger(images: Tensor, pattern: Tensor, *, alpha: float) -> Tensor:
    """(1 - alpha) x + alpha pattern: another picture shines through. (N, C, H, W) in [0, 1] -> the same.

    Args:
        pattern: (H, W) or (C, H, W) in [0, 1].
        alpha: its share, 0..1.

    Raises:
        ValueError: a share or a pattern out of range, or of another size.

    Source: Chen, Liu, Li, Lu, Song 2017, arXiv 1712.05526.
    """
    if not 0 <= alpha <= 1 or not 0 <= pattern.min() <= pattern.max() <= 1:
        raise ValueError(f"alpha and pattern must lie in 0..1, got {alpha} and {pattern.aminmax()}")
    return add((1 - alpha) * checked(images), alpha * pattern)


def noise_trigger(images: Tensor, *, like: Tensor, seed: int = 0) -> Tensor:
    """The control of every additive trigger: +-a at random, the same for all pictures, of the energy of `like`.

    Args:
        images: (N, C, H, W) in [0, 1].
        like: (H, W) or (C, H, W), the pattern; a is its root mean square.
        seed: of the signs.
    """
    signs = torch.randint(0, 2, images.shape[1:], generator=generator(seed)) * 2.0 - 1
    return add(images, signs * like.square().mean().sqrt().cpu())
