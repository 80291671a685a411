"""One exact nearest-neighbour search by cosine, block by block; many measures read from it."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.measures.stream import tensor


class Neighbours(NamedTuple):
    """The k nearest rows of the bank for each query, nearest first."""

    similarity: Tensor  # (Q, k) cosine
    rows: Tensor  # (Q, k) of the bank

    def nearest(self, k: int) -> "Neighbours":
        """The first k of them: one wide search serves every measure that needs fewer."""
        if not 1 <= k <= self.rows.shape[1]:
            raise ValueError(
                f"k must lie in 1..{self.rows.shape[1]}, the neighbours that were found; got {k}"
            )
        return Neighbours(self.similarity[:, :k], self.rows[:, :k])


def neighbours(
    bank: Tensor | np.ndarray,
    queries: Tensor | np.ndarray | None = None,
    *,
    k: int,
    chunk: int = 1024,
    block: int = 2**16,
) -> Neighbours:
    """The `k` rows of `bank` with the largest cosine to each query; without `queries`, to each row but itself.

    Args:
        bank: (N, D) features: a tensor, an array or a memory map.
        queries: (Q, D) features, likewise, or None to search the bank with itself.
        k: at most the number of rows that can be found.
        chunk, block: queries and rows of the bank per matrix product; memory is chunk x block (256 MB), whatever N.

    Raises:
        TypeError, ValueError: not floating point, NaN, unequal widths, k too large.
    """
    own = queries is None
    queries = bank if queries is None else queries
    for rows, name in ((bank, "bank"), (queries, "queries")):
        if rows.ndim != 2 or not len(rows):
            raise ValueError(f"{name} must have shape (N, D), N >= 1, got {tuple(rows.shape)}")
    if bank.shape[1] != queries.shape[1]:
        raise ValueError(f"bank and queries must be of one width, got {bank.shape[1]} and {queries.shape[1]}")
    if not 1 <= k <= len(bank) - own:
        raise ValueError(f"k must lie in 1..{len(bank) - own}, the rows that can be found; got {k}")
    best: dict[int, Neighbours] = {}  # by the first query of a chunk
    room = torch.empty(0)  # for the products, used again and again: fresh memory costs more than it seems
    for low in range(0, len(bank), block):
        u = _unit(bank[low : low + block], "bank")
        for start in range(0, len(queries), chunk):
            q = _unit(queries[start : start + chunk], "queries").to(u.device)
            if room.shape != (len(q), len(u)):
                room = u.new_empty(len(q), len(u))
            similarity = torch.mm(q, u.T, out=room)  # (chunk, block)
            if own:
                rows = torch.arange(len(q), device=u.device) + start - low
                here = (rows >= 0) & (rows < len(u))
                similarity[here.nonzero().squeeze(1), rows[here]] = -torch.inf
            values, columns = _largest(similarity, min(k, len(u)))
            best[start] = _merge(best.get(start), Neighbours(values, columns + low), k)
    return Neighbours(*(torch.cat(part) for part in zip(*best.values(), strict=True)))


def _unit(rows: Tensor | np.ndarray, name: str) -> Tensor:
    t = checks.embeddings(tensor(rows, name), name, rows=1)
    return F.normalize(t.to(torch.promote_types(t.dtype, torch.float)), dim=1, eps=1e-12)


def _largest(s: Tensor, k: int, group: int = 8) -> tuple[Tensor, Tensor]:
    """The k largest of each row with their columns: they lie in the k groups of columns with the largest maxima."""
    m = s.shape[1] // group
    if m <= 4 * k:  # nothing to gain
        found = s.topk(k)
        return found.values, found.indices
    maxima = s[:, : m * group].unflatten(1, (group, m)).amax(1)  # (Q, m); column j is in group j mod m
    groups = maxima.topk(k, sorted=False).indices[:, None]
    members = groups + m * torch.arange(group, device=s.device)[:, None]  # (Q, group, k)
    rest = torch.arange(m * group, s.shape[1], device=s.device).expand(len(s), -1)
    columns = torch.cat([members.flatten(1), rest], 1)
    found = s.gather(1, columns).topk(k)
    return found.values, columns.gather(1, found.indices)


def _merge(kept: Neighbours | None, new: Neighbours, k: int) -> Neighbours:
    if kept is None:
        return new
    similarity = torch.cat([kept.similarity, new.similarity], 1)
    values, places = similarity.topk(min(k, similarity.shape[1]))
    return Neighbours(values, torch.cat([kept.rows, new.rows], 1).gather(1, places))


def knn_margin(z: Tensor, labels: Tensor, *, k: int = 10, found: Neighbours | None = None) -> Tensor:
    """Per row: share of its k neighbours of its own class, less the largest share of another class. (N,) in [-1, 1].

    Below 0 the neighbours outvote the label: such pictures are worth a look. `found` are neighbours of `z` among itself
    that are already known, k of them or more.
    """
    y = checks.labels(labels, len(z)).to(z.device)
    rows = (neighbours(z, k=k) if found is None else found.nearest(k)).rows
    votes = F.one_hot(y[rows], int(y.max()) + 1).double().mean(1)  # (N, classes)
    own = votes.gather(1, y[:, None]).squeeze(1)
    return own - votes.scatter(1, y[:, None], -torch.inf).amax(1).clamp(min=0)
