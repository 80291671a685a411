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
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [torch.stack([width * cos, -height * sin, x], 1), torch.stack([width * sin, height * cos, y], 1)], 1
    )  # (N, 2, 3)
    shape = [*images.shape[:2], *([size] * 2 if size else images.shape[2:])]
    grid = F.affine_grid(theta, shape, align_corners=False)
    return F.grid_sample(images, grid, padding_mode=padding_mode, align_corners=False)
