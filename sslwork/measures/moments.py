"""One accumulator, one pass: every spectral measure, two probes and more come from the same few sums."""

from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.measures.gram import add_gram
from sslwork.measures.sample import smallest_keys
from sslwork.measures.stream import Rows, batches
from sslwork.measures.tridiagonal import Tridiagonal
from sslwork.seeds import generator

_PROBES = 8


class Moments:
    """Number, mean and scatter of rows (N, D), per class where labels are given; parts merge in any order.

    Sums are kept in float64 about a fixed origin near the mean (the mean of the first batch), so that neither a far
    mean nor a collapsed cloud costs digits. Memory is D^2 + classes x D numbers, however many rows pass.

    Args:
        width: D.
        quick: products in float32 within a batch, float64 between: about twice as fast. The error is measured on the
            way (`error`), with eight fixed random directions.
        keep, seed: keep a seeded sample of this many rows, with their ids (`sample`, `sample_ids`).
        device: where sums live; one without float64 is replaced by the CPU.
    """

    def __init__(
        self,
        width: int,
        *,
        quick: bool = False,
        keep: int = 0,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        home = "cpu" if torch.device(device).type == "mps" else device

        def zeros(*shape: int, dtype: torch.dtype = torch.double) -> Tensor:
            return torch.zeros(*shape, dtype=dtype, device=home)

        self.quick, self.keep, self.seed, self.labelled = quick, keep, seed, False
        self.origin = zeros(width)  # o
        self.counts = zeros(
            1, dtype=torch.long
        )  # (C,) rows of each class; one class where there are no labels
        self.sums = zeros(1, width)  # (C, D) sum of z - o
        self.squares = zeros(1)  # (C,) sum of |z - o|^2
        self.units = zeros(1, width)  # (C, D) sum of z / |z|
        self.nonzero = zeros(1, dtype=torch.long)  # rows that have a direction
        self.second = zeros(width, width)  # sum of (z - o)(z - o)', lower triangle
        self.image = zeros(
            width, _PROBES if quick else 0
        )  # the same, times random directions, summed by itself
        self.sample, self.sample_ids = torch.zeros(0, width), torch.zeros(0, dtype=torch.long)

    def add(self, rows: Tensor, labels: Tensor | None = None, ids: Tensor | None = None) -> "Moments":
        """Take in rows (B, D), with labels (B,) or always without; ids (B,) name them, by default 0, 1, 2, ...

        Raises:
            TypeError, ValueError: not floating point, another width, NaN, labels now and then.
        """
        rows = rows.detach().to(self.second.device)
        if rows.ndim != 2 or rows.shape[1] != len(self.origin):
            raise ValueError(f"rows must have shape (B, {len(self.origin)}), got {tuple(rows.shape)}")
        if len(rows) == 0:
            return self
        checks.embeddings(rows, "rows", rows=1)
        if self.n and self.labelled != (labels is not None):
            raise ValueError("give labels with all rows or with none: a part without them fits no class")
        work = torch.float if self.quick else torch.double
        wide = rows.to(torch.promote_types(rows.dtype, work))
        if self.n == 0:  # rounded, so that subtracting it from float32 rows is exact
            self.origin = wide.mean(0).float().double()
        self.labelled = labels is not None
        y = torch.zeros(len(rows), dtype=torch.long) if labels is None else checks.labels(labels, len(rows))
        y = y.to(rows.device)
        self._grow(int(y.max()) + 1)

        length = wide.norm(dim=1, keepdim=True)  # (B, 1)
        x = wide * torch.where(length > 0, 1 / length, 0)  # unit rows first; their memory then serves again
        units = self._per_class(y, x)
        x = torch.sub(wide, self.origin.to(wide.dtype), out=x).to(work)  # (B, D)
        self._add_product(x)
        self._sample(rows, torch.arange(self.n, self.n + len(rows)) if ids is None else ids.cpu())
        self.counts += y.bincount(minlength=len(self.counts))
        self.sums += self._per_class(y, x)
        self.squares.index_add_(0, y, x.norm(dim=1).double().square())
        self.units += units
        self.nonzero += (length > 0).sum()
        self.__dict__.pop("reduced", None)
        return self

    def merge(self, other: "Moments | dict[str, Any]") -> "Moments":
        """Take in another part (or its `state`), which saw other rows; the sums are those of one pass over both."""
        part = other if isinstance(other, Moments) else Moments.from_state(other)
        for name in ("quick", "keep", "seed"):
            if getattr(self, name) != getattr(part, name):
                raise ValueError(
                    f"parts must be made alike: {name}={getattr(self, name)} and {getattr(part, name)}"
                )
        if self.origin.shape != part.origin.shape:
            raise ValueError(
                f"parts must be of one width, got {len(self.origin)} and {len(part.origin)} columns"
            )
        if self.n and part.n and self.labelled != part.labelled:
            raise ValueError("one part saw labels, the other did not")
        if part.n == 0:
            return self
        home = self.second.device
        if self.n == 0:
            self.origin, self.labelled = part.origin.to(home, copy=True), part.labelled
        self._grow(len(part.counts))
        t = part.origin.to(home) - self.origin  # the other sums are about their own origin
        counts, sums, total = part.counts.to(home), part.sums.to(home), part.sums.sum(0).to(home)
        cross = torch.outer(total + part.n / 2 * t, t)
        self.second += part.second.to(home) + cross + cross.T
        self.image += part.image.to(home) + (cross + cross.T) @ self._directions()
        own = slice(len(counts))
        self.squares[own] += part.squares.to(home) + 2 * sums @ t + counts * (t @ t)
        self.sums[own] += sums + counts[:, None] * t
        self.counts[own] += counts
        self.units[own] += part.units.to(home)
        self.nonzero += part.nonzero.to(home)
        self._sample(part.sample, part.sample_ids)
        self.__dict__.pop("reduced", None)
        return self

    def state(self) -> dict[str, Any]:
        """Plain tensors and numbers, to save or to send to another process; `from_state` makes it whole again."""
        return {name: value for name, value in vars(self).items() if name != "reduced"}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Moments":
        """The accumulator whose `state` this is."""
        made = cls.__new__(cls)
        vars(made).update(state)
        return made

    @property
    def n(self) -> int:
        """Rows seen."""
        return int(self.counts.sum())

    @property
    def mean(self) -> Tensor:
        """(D,)"""
        return self.origin + self.sums.sum(0) / self.n

    @property
    def scatter(self) -> Tensor:
        """S = sum (z - mean)(z - mean)', (D, D)."""
        total = self.sums.sum(0)
        lower = self.second.tril()
        return lower.add_(self.second.tril(-1).T).addr_(total, total, alpha=-1 / self.n)

    @property
    def class_means(self) -> Tensor:
        """(C, D); a class without rows has the origin."""
        return self.origin + self.sums / self.counts.clamp(min=1)[:, None]

    @property
    def within(self) -> Tensor:
        """q_c = sum over the rows of a class of |z - its mean|^2, (C,)."""
        return self.squares - self.sums.square().sum(1) / self.counts.clamp(min=1)

    @property
    def within_variance(self) -> Tensor:
        """Variance of each column about the class means, pooled over classes, (D,)."""
        between = (self.sums.square() / self.counts.clamp(min=1)[:, None]).sum(0)
        return (self.second.diagonal() - between).clamp(min=0) / self.n

    @cached_property
    def reduced(self) -> Tridiagonal:
        """S made tridiagonal along the mean: centred and un-centred spectra and the ridge probe all start from it."""
        return Tridiagonal(self.scatter, self.mean)

    @property
    def error(self) -> float:
        """Bound on the Frobenius norm of what `reduced` misses of S: measured (twice over) if quick, else rounding."""
        scatter = self.scatter
        if not self.quick:
            return float(scatter.norm()) * len(scatter) * torch.finfo(torch.double).eps
        w, total = self._directions(), self.sums.sum(0)
        truth = (self.image - torch.outer(total, total @ w) / self.n).cpu()
        missed = truth - self.reduced.back(self.reduced.times(self.reduced.into(w)))  # E w
        return 2 * float(missed.square().sum(0).mean().sqrt())  # the mean of |E w|^2 is |E|_F^2

    def singular_values(self, *, centred: bool = False) -> Tensor:
        """Of the rows, or of the rows less their mean: (min(N, D),) float64, largest first."""
        corner = 0.0 if centred else self.n * float(self.mean.square().sum())
        values = self.reduced.eigenvalues(corner).clamp(min=0).sqrt().flip(0)
        return values[: min(self.n, len(values))]

    def _directions(self) -> Tensor:
        shape = self.image.shape
        w = torch.randn(shape, generator=generator(0, len(self.origin)), dtype=torch.double)
        return w.to(self.image.device)

    def _grow(self, classes: int) -> None:
        """Room for so many classes."""
        if (more := classes - len(self.counts)) > 0:
            self.counts, self.squares = F.pad(self.counts, (0, more)), F.pad(self.squares, (0, more))
            self.sums, self.units = F.pad(self.sums, (0, 0, 0, more)), F.pad(self.units, (0, 0, 0, more))

    def _per_class(self, y: Tensor, x: Tensor) -> Tensor:
        return torch.zeros_like(self.sums, dtype=x.dtype).index_add_(0, y, x)

    def _add_product(self, x: Tensor) -> None:
        if self.quick:
            w = self._directions().to(x.dtype)
            image = ((w.T @ x.T) @ x).T  # in this order twice as fast as x'(xw)
            if not bool(torch.isfinite(image.sum())):
                raise ValueError("rows are too large for float32 products; use quick=False")
            self.image += image
        self.second = add_gram(self.second, x)

    def _sample(self, rows: Tensor, ids: Tensor) -> None:
        if self.keep:
            rows = torch.cat([self.sample.to(rows.dtype), rows.cpu()])
            ids = torch.cat([self.sample_ids, ids])
            self.sample, self.sample_ids = smallest_keys(rows, ids, self.keep, self.seed)


def moments(
    z: "Rows | Moments",
    labels: Tensor | np.ndarray | None = None,
    *,
    quick: bool = False,
    keep: int = 0,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Moments:
    """Pass once over rows, however many, and keep their `Moments`.

    Args:
        z: (N, D) tensor, array, memory map (`np.load(path, mmap_mode="r")`, never read as a whole), or an iterable of
            batches or of pairs (rows, labels).
        labels: (N,) class indices, where `z` is not an iterable.
        quick, keep, seed: as for `Moments`.
        device: where to compute; None stays where the rows are.

    Raises:
        TypeError, ValueError: no rows, not floating point, NaN, labels that do not fit.

    >>> moments(torch.eye(3)).mean
    tensor([0.3333, 0.3333, 0.3333], dtype=torch.float64)
    """
    if isinstance(z, Moments):
        if labels is not None:
            raise ValueError("these moments are made; labels belong to the pass over the rows")
        return z
    found: Moments | None = None
    for rows, y in batches(z, labels, numbers=2**24 if quick else 2**22):
        found = found or Moments(
            rows.shape[1], quick=quick, keep=keep, seed=seed, device=device or rows.device
        )
        found.add(rows, y)
    if found is None:
        raise ValueError("z has no rows: there is nothing to measure")
    return found
