"""What changes from step to step, as functions of the step: nothing to save, nothing to lose."""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from sslwork.seeds import generator

# Of the step, the number of pictures, the batch size and the seed: the rows of one batch.
Batches = Callable[[int, int, int, int], Tensor]


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over the first tenth, then half a cosine down to zero."""
    warm = max(1, steps // 10)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def momentum(done: float, start: float) -> float:
    """Of a moving average: from `start` at the beginning (`done` = 0) along half a cosine to 1 at the end (BYOL)."""
    return 1 - (1 - start) * (1 + math.cos(math.pi * done)) / 2


def batch_rows(step: int, rows: int, batch_size: int, seed: int) -> Tensor:
    """The rows of one batch (batch_size,): every epoch in a new order, the last incomplete batch left out.

    Raises:
        ValueError: an empty batch, or one larger than the set.
    """
    if not 1 <= batch_size <= rows:
        raise ValueError(f"batch_size must lie in 1..{rows}, the pictures there are; got {batch_size}")
    epoch, place = divmod(step, rows // batch_size)
    return _order(rows, seed, epoch)[place * batch_size :][:batch_size]


@lru_cache(maxsize=2)  # shuffling millions of rows anew for each batch would take longer than the batch
def _order(rows: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(rows, generator=generator(seed, epoch))
