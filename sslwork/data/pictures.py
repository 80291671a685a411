"""A set of pictures, in memory or on disk: the one shape in which data travels through the package."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sslwork import checks

BLOCK = 256  # rows handled at a time
HASHED_WHOLE = 2**28  # bytes


def to_float(images: Tensor) -> Tensor:
    """Pictures as float32 in [0, 1]: uint8 is divided by 255, floating point must lie there already."""
    if images.dtype == torch.uint8:
        return images.float().div_(255)
    if not images.is_floating_point():
        raise TypeError(f"images must be uint8 (0..255) or floating point (0..1), got {images.dtype}")
    low, high = (float(end) for end in images.detach().aminmax())  # NaN comes through
    if math.isnan(low) or math.isinf(high - low):
        raise ValueError("images hold NaN or infinity; look at torch.isfinite(images).all(dim=(1, 2, 3))")
    if low < 0 or high > 1:
        raise ValueError(
            f"floating-point images must lie in [0, 1], got {low:.3g} to {high:.3g}; "
            "divide by 255, or undo the normalisation"
        )
    return images.float()


@dataclass(frozen=True, eq=False)
class PictureSet:
    """Pictures and what is known of them, row by row.

    Args:
        images: (N, C, H, W) with C = 3, or 1 for grey; uint8, which may be a memory map and is never copied whole,
            or floating point in [0, 1], made uint8. Grey is repeated to three channels where pictures are used.
        labels: (N,) class indices, or None. Used to measure, never to train without labels.
        names: one name per class.
        groups: one coarser name per class (for colours), or empty.
        ids: one name per row (a file, say), or empty.
        skipped: what could not be read, with the reason.
        about: where the pictures come from, and under which licence.
    """

    images: Tensor
    labels: Tensor | None = None
    names: Sequence[str] = ()
    groups: Sequence[str] = ()
    ids: Sequence[str] = ()
    skipped: Sequence[str] = ()
    about: str = ""

    def __post_init__(self) -> None:
        images = torch.as_tensor(self.images).cpu()
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(
                f"images must have shape (N, 3, H, W) or (N, 1, H, W), got {tuple(images.shape)}; "
                "for arrays with channels last use .permute(0, 3, 1, 2)"
            )
        if len(images) == 0:
            raise ValueError("images is empty: a picture set needs at least one picture")
        if images.dtype != torch.uint8:
            blocks = images.split(BLOCK)
            images = torch.cat([(to_float(block) * 255).round().to(torch.uint8) for block in blocks])
        object.__setattr__(self, "images", images)
        if self.labels is not None:
            y = checks.labels(self.labels, len(images))
            if self.names and not 0 <= int(y.min()) <= int(y.max()) < len(self.names):
                raise ValueError(
                    f"labels must lie in 0..{len(self.names) - 1}, one per name; got {int(y.min())}..{int(y.max())}"
                )
            object.__setattr__(self, "labels", y)
        if self.groups and len(self.groups) != len(self.names):
            raise ValueError(
                f"groups must have one entry per name: {len(self.names)} wanted, got {len(self.groups)}"
            )
        if self.ids and len(self.ids) != len(images):
            raise ValueError(
                f"ids must have one entry per picture: {len(images)} wanted, got {len(self.ids)}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor | Sequence[int] | slice) -> PictureSet:
        """The pictures of these rows, as a picture set of its own. A slice shares its pixels with this one."""
        index = torch.arange(len(self))[rows if isinstance(rows, slice) else torch.as_tensor(rows)]
        return PictureSet(
            self.images[rows if isinstance(rows, slice) else index],
            None if self.labels is None else self.labels[index],
            self.names,
            self.groups,
            [self.ids[i] for i in index] if self.ids else (),
            about=self.about,
        )

    def __repr__(self) -> str:
        n, _, h, w = self.images.shape
        classes = (
            f", {len(self.names)} classes" if self.names else ", no labels" if self.labels is None else ""
        )
        skipped = f", {len(self.skipped)} files skipped" if self.skipped else ""
        return f"PictureSet({n:,} pictures of {h} x {w}{classes}{skipped})"

    @property
    def class_of(self) -> list[str]:
        """The name of each row's class."""
        return (
            [] if self.labels is None else [self.names[i] if self.names else str(int(i)) for i in self.labels]
        )

    @property
    def group_of(self) -> list[str]:
        """The coarser name of each row's class, or the class itself where there are no groups."""
        return (
            [self.groups[i] for i in self.labels]
            if self.groups and self.labels is not None
            else self.class_of
        )

    def raw(self) -> Tensor:
        """The pixels as features, (N, 3 H W) float, in memory: the control for every representation."""
        return to_float(self.images).expand(-1, 3, -1, -1).flatten(1)

    def fingerprint(self) -> str:
        """A short hash of the pixels and their order, so that a checkpoint knows its data.

        Up to 256 MB every byte counts. Of a larger set the shape and 1,000 rows at even distances, first and last
        among them: a change between these goes unnoticed.
        """
        digest = hashlib.blake2b(str(tuple(self.images.shape)).encode(), digest_size=8)
        blocks: Iterable[Tensor] = self.images.split(BLOCK)
        if self.images.numel() > HASHED_WHOLE:
            rows = torch.linspace(0, len(self) - 1, 1000, dtype=torch.float64).long()
            blocks = (self.images[row] for row in rows)
        for block in blocks:
            digest.update(block.contiguous().numpy().data)
        return digest.hexdigest()
