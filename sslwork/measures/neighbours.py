"""One exact nearest-neighbour search by cosine, in chunks; many measures read from it."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks


class Neighbours(NamedTuple):
    """The k nearest rows of the bank for each query, nearest first."""

    similarity: Tensor  # (Q, k) cosine
    rows: Tensor  # (Q, k) of the bank


def neighbours(bank: Tensor, queries: Tensor | None = None, *, k: int, chunk: int = 1024) -> Neighbours:
    """The `k` rows of `bank` with the largest cosine to each query; without `queries`, to each row but itself.

    Args:
        bank: (N, D) features.
        queries: (Q, D) features, or None to search the bank with itself.
        k: at most the number of rows that can be found.
        chunk: queries per matrix product; memory is chunk x N.

    Raises:
        TypeError, ValueError: not floating point, NaN, unequal widths, k too large.
    """
    checks.embeddings(bank, "bank", rows=1)
    own = queries is None
    queries = bank if queries is None else checks.embeddings(queries, "queries", rows=1)
    if bank.shape[1] != queries.shape[1]:
        raise ValueError(f"bank and queries must be of one width, got {bank.shape[1]} and {queries.shape[1]}")
    if not 1 <= k <= len(bank) - own:
        raise ValueError(f"k must lie in 1..{len(bank) - own}, the rows that can be found; got {k}")
    u, q = F.normalize(bank, dim=1, eps=1e-12), F.normalize(queries, dim=1, eps=1e-12)
    found = []
    for start in range(0, len(q), chunk):
        similarity = q[start : start + chunk] @ u.T  # (chunk, N)
        if own:
            rows = torch.arange(len(similarity), device=u.device)
            similarity[rows, rows + start] = -torch.inf
        found.append(similarity.topk(k))
    return Neighbours(torch.cat([f.values for f in found]), torch.cat([f.indices for f in found]))


def knn_margin(z: Tensor, labels: Tensor, *, k: int = 10) -> Tensor:
    """Per row: share of its k neighbours of its own class, less the largest share of another class. (N,) in [-1, 1].

    Below 0 the neighbours outvote the label: such pictures are worth a look.
    """
    y = checks.labels(labels, len(z)).to(z.device)
    votes = F.one_hot(y[neighbours(z, k=k).rows], int(y.max()) + 1).double().mean(1)  # (N, classes)
    own = votes.gather(1, y[:, None]).squeeze(1)
    return own - votes.scatter(1, y[:, None], -torch.inf).amax(1).clamp(min=0)
