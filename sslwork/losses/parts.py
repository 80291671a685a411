"""What several losses share: products in full precision, the mean or not."""

import torch
from torch import Tensor


def similarities(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of rows, (..., N, D) and (..., M, D) -> (..., N, M), not cut to half precision by autocast."""
    with torch.autocast(a.device.type, enabled=False):
        return a @ b.mT


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """The losses of all anchors: "mean" for a scalar, "none" for all of them; else a clear error."""
    if reduction not in ("mean", "none"):
        raise ValueError(f'reduction must be "mean" or "none", got {reduction!r}')
    return losses.mean() if reduction == "mean" else losses
