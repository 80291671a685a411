"""What a method sees of one step of training."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """The views of some pictures, and what else a method may need to know of the step.

    Args:
        views: as many as the method asks for, each (n, C, H, W); with several processes, this one's share.
        rows: (n,) which pictures of the set they show.
        images: all pictures of the set, as they are stored.
        done: share of the training behind us, 0 at the first step.
        generator: for whatever a method draws itself; in the same state in every process.
    """

    views: tuple[Tensor, ...]
    rows: Tensor
    images: Tensor
    done: float
    generator: torch.Generator
