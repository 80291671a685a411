"""MoCHi: negatives mixed from the hardest ones, for each query its own."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.losses.similarity import similarities, unit


@torch.no_grad()
def mochi_negatives(
    query: Tensor, queue: Tensor, *, n_hard: int, n_mixed: int, n_query_mixed: int, generator: torch.Generator
) -> Tensor:
    r"""Synthetic negatives, harder than what the queue holds: mixtures of each query's hardest negatives.

    With n_a, n_b two different rows and n any row of the n_hard queue rows most similar to query q:

        unit(a n_a + (1 - a) n_b),  a ~ U(0, 1),   n_mixed times
        unit(b q + (1 - b) n),      b ~ U(0, 1/2), n_query_mixed times

    The first kind may be harder than both its parents; the second is never easier than its parent.

    Args:
        query: (N, D) floating point.
        queue: (K, D), shared by all queries, before the new keys enter it.
        n_hard: how many of the queue to mix from, 1 to K; 2 at least for the first kind.
        n_mixed, n_query_mixed: how many of each kind, 0 or more.
        generator: draws are independent for each query.

    Returns:
        (N, n_mixed + n_query_mixed, D), rows of length one, first kind first, without a gradient.

    Raises:
        TypeError, ValueError: not floating point, wrong or unequal shapes, NaN, numbers out of range.

    Source: Kalantidis, Sariyildiz, Pion, Weinzaepfel, Larlus 2020, arXiv 2010.01028.
    """
    _same_width(query, queue)
    least = 2 if n_mixed else 1
    if not least <= n_hard <= len(queue):
        raise ValueError(f"n_hard must be {least} to {len(queue)}, the rows of the queue; got {n_hard}")
    if min(n_mixed, n_query_mixed) < 0:
        raise ValueError(f"n_mixed and n_query_mixed must be 0 or more, got {n_mixed} and {n_query_mixed}")
    kind = torch.promote_types(query.dtype, queue.dtype)
    q, queue = unit(query.to(kind)), unit(queue.to(kind))
    hard = queue[similarities(q, queue).topk(n_hard, dim=1).indices]  # (N, n_hard, D)

    def share(count: int) -> Tensor:  # (N, count, 1) in [0, 1)
        draw = torch.rand(len(q), count, 1, generator=generator, device=generator.device, dtype=q.dtype)
        return draw.to(q.device)

    def which(low: int, high: int, count: int) -> Tensor:  # (N, count) whole numbers
        draw = torch.randint(low, high, (len(q), count), generator=generator, device=generator.device)
        return draw.to(q.device)

    each = torch.arange(len(q), device=q.device)[:, None]
    first = which(0, n_hard, n_mixed)
    second = (first + which(1, max(n_hard, 2), n_mixed)) % n_hard  # another one
    mixed = hard[each, second].lerp(hard[each, first], share(n_mixed))
    parent = hard[each, which(0, n_hard, n_query_mixed)]
    query_mixed = parent.lerp(q[:, None].expand_as(parent), share(n_query_mixed) / 2)
    return F.normalize(torch.cat([mixed, query_mixed], 1), dim=-1, eps=1e-12)


def mochi(query: Tensor, key: Tensor, queue: Tensor, synthetic: Tensor, *, temperature: float) -> Tensor:
    r"""InfoNCE with a queue, and with synthetic negatives besides, for each query its own.

        l_i = -q_i.k_i / temperature + log sum over k_i, the queue's Q_j, and the synthetic h_ij of exp(q_i.(...) / temperature)

    The mean over queries. Only the queries get a gradient: keys come from the momentum encoder.

    Args:
        query, key: two views of one batch, (N, D) floating point.
        queue: keys of former batches, (K, D).
        synthetic: rows of length one, (N, S, D), from `mochi_negatives`; S may be 0, which is the loss of MoCo.
        temperature: > 0, in units of cosine similarity.

    Raises:
        TypeError, ValueError: not floating point, wrong or unequal shapes, NaN, temperature <= 0.

    Source: Kalantidis, Sariyildiz, Pion, Weinzaepfel, Larlus 2020, arXiv 2010.01028.

    >>> q, near = torch.tensor([[1.0, 0.0]]), torch.tensor([[[1.0, 0.0]]])
    >>> print(f"{mochi(q, q, -q, near, temperature=1.0):.5f}")
    0.75862
    """
    checks.positive(temperature, "temperature")
    checks.pair(query, key, ("query", "key"), rows=1)
    _same_width(query, queue)
    if synthetic.ndim != 3 or synthetic.shape[::2] != query.shape:
        n, d = query.shape
        raise ValueError(f"synthetic must have shape ({n}, S, {d}), got {tuple(synthetic.shape)}")
    checks.embeddings(synthetic.flatten(0, 1), "synthetic", rows=0)
    q, k, queue = (unit(z) for z in (query, key.detach(), queue.detach()))
    own = similarities(q[:, None], torch.cat([k[:, None], synthetic.detach()], 1))[:, 0]  # (N, 1 + S)
    logits = torch.cat([own, similarities(q, queue)], 1) / temperature  # (N, 1 + S + K)
    return (logits.logsumexp(1) - logits[:, 0]).mean()


def _same_width(query: Tensor, queue: Tensor) -> None:
    checks.embeddings(query, "query", rows=1)
    checks.embeddings(queue, "queue", rows=1)
    if query.shape[1] != queue.shape[1]:
        raise ValueError(
            f"query and queue must be of one width, got {tuple(query.shape)} and {tuple(queue.shape)}"
        )
