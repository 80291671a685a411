"""GroCo: sort what an anchor resembles; every positive must come above every negative."""

import torch
from torch import Tensor

from sslwork import checks
from sslwork.losses.odd_even import sort_relaxed
from sslwork.losses.similarity import reduced, similarities, unit


def groco(
    z1: Tensor,
    z2: Tensor,
    *more: Tensor,
    top_k: int,
    steepness: float = 1.0,
    stop_gradient: bool = True,
    reduction: str = "mean",
) -> Tensor:
    r"""Group ordering constraint: an anchor's positives rank above its hardest negatives; order within does not matter.

    Each row of each view is an anchor. Its positives are its cosines to the same row of all other views, its negatives
    the k largest cosines to other rows of its own view. Both are sorted by a relaxed network, with P[i, r] the
    probability that input i ends at rank r of the n = k + V - 1:

        l = -mean_i log sum_{r < k} P[i, r] if i is a negative, or sum_{r >= k} P[i, r] if it is a positive

    Sums are kept in [1e-7, 1 - 1e-7]. At finite steepness the loss never reaches zero: cosines differ by 2 at most.

    Args:
        z1, z2, more: two or more views of one batch, each (N, D) floating point, N >= 2.
        top_k: k, number of negatives, 1 to N - 1.
        steepness: >= 0, of the soft comparators, per unit of cosine similarity.
        stop_gradient: only the anchor moves; positives and negatives are held.
        reduction: "mean" for a scalar, "none" for the (V N,) values in the order of views.

    Raises:
        TypeError, ValueError: not floating point, wrong or unequal shapes, one row, NaN, top_k or steepness out of
            range, another reduction.

    Source: Shvetsova, Petersen, Kukleva, Schiele, Kuehne 2023, arXiv 2301.02009.

    >>> print(f"{groco(torch.eye(2), torch.eye(2), top_k=1):.5f}")
    0.28768
    """
    views = (z1, z2, *more)
    for v, view in enumerate(views[1:], start=2):
        checks.pair(z1, view, ("z1", f"z{v}"))
    if not 1 <= top_k < len(z1):
        raise ValueError(f"top_k must be 1 to {len(z1) - 1} for a batch of {len(z1)}, got {top_k}")
    anchors = torch.stack([unit(view) for view in views])  # (V, N, D)
    held = anchors.detach() if stop_gradient else anchors

    def own(size: int) -> Tensor:
        return torch.eye(size, dtype=torch.bool, device=z1.device)

    negatives = similarities(anchors, held).masked_fill(own(len(z1)), -torch.inf)  # (V, N, N)
    negatives = negatives.topk(top_k).values.flip(-1)  # (V, N, k), ascending
    positives = similarities(anchors.transpose(0, 1), held.transpose(0, 1))  # (N, V, V)
    positives = positives.masked_fill(own(len(views)), torch.inf).sort().values[..., :-1].transpose(0, 1)
    _, p = sort_relaxed(torch.cat([negatives, positives], -1), steepness=steepness)
    right = torch.cat([p[..., :top_k, :top_k].sum(-1), p[..., top_k:, top_k:].sum(-1)], -1)  # (V, N, n)
    return reduced(-right.clamp(1e-7, 1 - 1e-7).log().mean(-1).flatten(), reduction)
