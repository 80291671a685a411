"""Views found rather than made: samples of a pool that lie near in the space of a network."""

import torch
from torch import Tensor

from sslwork import checks
from sslwork.losses.similarity import unit


@torch.no_grad()
def mine(
    queries: Tensor, pool: Tensor, *, k: int, generator: torch.Generator, own: tuple[Tensor, Tensor] | None = None
) -> Tensor:  # fmt: skip
    """For each query one of its k nearest rows of the pool, each of them as likely: rows of the pool, (N,).

    Near is by cosine, so that lengths do not matter. No gradient: what comes back are places.

    Args:
        queries, pool: (N, D) and (M, D).
        k: at least 1. A query with fewer candidates chooses among all it has; k = M is a choice at random.
        generator: draws the choice.
        own: groups of the queries (N,) and of the pool (M,), whole numbers: nobody gets a row of the own group.

    Raises:
        ValueError: unequal widths, k < 1, a query whose group is the whole pool.

    Source: Azabou et al. 2021, arXiv 2102.10106.

    >>> points = torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0]])
    >>> mine(points[:1], points, k=1, generator=torch.Generator(), own=(torch.tensor([0]), torch.arange(3)))
    tensor([1])
    """
    checks.embeddings(queries, "queries", rows=1)
    checks.embeddings(pool, "pool", rows=1)
    if queries.shape[1] != pool.shape[1]:
        raise ValueError(f"queries and pool must be of one width, got {queries.shape[1]} and {pool.shape[1]}")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    similarity = unit(queries) @ unit(pool).T  # (N, M)
    candidates = torch.full((len(queries),), len(pool), device=pool.device)
    if own is not None:
        barred = own[0][:, None] == own[1]
        similarity.masked_fill_(barred, -torch.inf)
        candidates -= barred.sum(1)
        if not candidates.all():
            row = int((candidates == 0).nonzero()[0])
            raise ValueError(
                f"query {row} finds its own group alone in the pool: give a larger pool, or more groups"
            )
    nearest = similarity.topk(min(k, len(pool)), dim=1).indices  # (N, k), barred ones last
    chance = torch.rand(len(queries), generator=generator, device=generator.device).to(pool.device)
    pick = (chance * candidates.clamp(max=k)).long()
    return nearest.gather(1, pick[:, None]).squeeze(1)
