"""One affine map per picture, for a whole batch at once."""

import torch
import torch.nn.functional as F
from torch import Tensor


def affine(
    images: Tensor,
    *,
    angle: Tensor,
    width: Tensor,
    height: Tensor,
    x: Tensor,
    y: Tensor,
    size: int | None = None,
    padding_mode: str = "zeros",
) -> Tensor:
    """Cut a turned window out of each picture and scale it to `size` x `size`: (N, C, H, W) -> (N, C, size, size).

    All parameters have shape (N,): `angle` in radians; `width`, `height` of the window and its centre `x`, `y` in
    units of half the picture's side, so that 1, 1, 0, 0 is the whole picture. A negative width mirrors.
    """
    h, w = (size, size) if size else images.shape[2:]
    cos, sin = angle.cos(), angle.sin()
    # Each coordinate is a part from the column and a part from the row. F.affine_grid takes longer than the sampling.
    across = torch.stack([width * cos, width * sin], 1)[..., None] * _centres(w, images)  # (N, 2, w)
    down = torch.stack([-height * sin, height * cos], 1)[..., None] * _centres(h, images)  # (N, 2, h)
    down = down + torch.stack([x, y], 1)[..., None]
    grid = across[:, :, None] + down[..., None]  # (N, 2, h, w)
    return F.grid_sample(images, grid.permute(0, 2, 3, 1), padding_mode=padding_mode, align_corners=False)


def _centres(pixels: int, like: Tensor) -> Tensor:
    """The middle of each of so many pixels, in -1..1."""
    return (2 * torch.arange(pixels, dtype=like.dtype, device=like.device) + 1) / pixels - 1
