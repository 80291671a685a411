"""Poisoning: some pictures of a set are replaced by their triggered versions, once, before any training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sslwork import checks
from sslwork.data.pictures import PictureSet, to_float
from sslwork.seeds import generator

Trigger = Callable[[Tensor], Tensor]


class Poisoned(NamedTuple):
    """The poisoned set; which rows were replaced (P,), in order; their share of all and of the target class."""

    pictures: PictureSet
    rows: Tensor
    rate: float
    rate_of_class: float

    def __str__(self) -> str:
        return (
            f"{len(self.rows):,} of {len(self.pictures):,} pictures poisoned, {self.rate:.2%}; that is as many as "
            f"{self.rate_of_class:.0%} of the target class"
        )


@dataclass(frozen=True)
class Poison:
    """Put a trigger on floor(rate N) pictures of a set, before any augmentation; everything else stays as it is.

    Args:
        trigger: pictures (n, C, H, W) in [0, 1] to pictures, e.g. `functools.partial(ctrl_trigger, magnitude=100)`.
        target: the class t that the trigger shall call.
        rate: share of all pictures, 0..1.
        select: whose pictures are taken: "first", the first of class t; "random" ones of class t; "others", random ones
            of the other classes; "any", random ones.
        relabel: also give them the label t ("dirty label"); only where labels are trained on.
        seed: of the draw.

    Raises:
        ValueError: a rate out of range, no labels, or more poison than there are pictures to take.

    >>> blank = PictureSet(torch.zeros(20, 1, 4, 4), torch.arange(20) % 2)
    >>> found = Poison(lambda x: x + 1, target=1, rate=0.1, select="first")(blank)
    >>> found.rows.tolist(), float(found.pictures.images[1].max()), int(blank.images.max())
    ([1, 3], 255.0, 0)
    """

    trigger: Trigger
    target: int
    rate: float
    select: Literal["first", "random", "others", "any"] = "random"
    relabel: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate must lie in 0..1, a share of all pictures; got {self.rate}")
        if self.select not in ("first", "random", "others", "any"):
            raise ValueError(f"select must be 'first', 'random', 'others' or 'any', got {self.select!r}")

    def __call__(self, pictures: PictureSet) -> Poisoned:
        labels = checks.labels(pictures.labels, len(pictures))
        count = int(self.rate * len(pictures) + 1e-9)  # 0.29 * 100 is a little less than 29
        rows = self._candidates(labels)
        if count > len(rows):
            raise ValueError(
                f"rate {self.rate:g} asks for {count} pictures, and select={self.select!r} finds {len(rows)}; "
                "lower the rate"
            )
        rows = rows[:count].sort().values
        of_class = max(1, int((labels == self.target).sum()))
        if count:
            images = pictures.images.clone()
            changed = self.trigger(to_float(images[rows])).clamp(0, 1)
            images[rows] = (255 * changed).round().to(torch.uint8)
            labels = labels.index_fill(0, rows, self.target) if self.relabel else labels
            pictures = replace(pictures, images=images, labels=labels)
        return Poisoned(pictures, rows, count / len(pictures), count / of_class)

    def _candidates(self, labels: Tensor) -> Tensor:
        """Rows that may be taken, in the order in which they are."""
        order = torch.arange(len(labels))
        if self.select != "first":
            order = torch.randperm(len(labels), generator=generator(self.seed))
        if self.select == "any":
            return order
        return order[(labels[order] == self.target) != (self.select == "others")]
