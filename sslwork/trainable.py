"""What `train.fit` asks of data and of views: pictures keep to it, and so may recordings, or whatever has rows."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Samples(Protocol):
    """Rows to learn from: `images` (N, ...) of any shape, and a short hash by which a checkpoint knows them."""

    @property
    def images(self) -> Tensor: ...

    def __len__(self) -> int: ...

    def fingerprint(self) -> str: ...


class Changes(Protocol):
    """How views are made: all random numbers of a step first, row i for sample i, then the views they give.

    A dataclass: its fields are what a checkpoint knows of it.
    """

    def several(self, images: Tensor, count: int, generator: torch.Generator) -> list[dict[str, Tensor]]:
        """The random numbers of `count` views of each sample: name -> (N, ...)."""

    def apply(self, images: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        """The views which these random numbers give, (N, ...)."""
