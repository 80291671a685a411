"""CACR: among positives pull the farthest hardest, among negatives push the nearest hardest."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sslwork import checks
from sslwork.losses.similarity import similarities, unit


def cacr(
    views: Sequence[Tensor],
    *,
    tau_pos: float,
    tau_neg: float,
    alpha: float = 1.0,
    beta: float = 1.0,
    detach_weights: bool = False,
) -> Tensor:
    r"""Contrastive attraction less contrastive repulsion: two expected costs, each over its own softmax.

    With d squared distances of rows scaled to length one, z_vi row i of view v:

        A = mean over v, i of  sum_{u != v} w+_u d(z_vi, z_ui),        w+ = softmax_u(+tau_pos d(z_vi, z_ui))
        R = mean over v < u, i of  sum_{j != i} w-_j d(z_vi, z_uj),    w- = softmax_j(-tau_neg d(z_vi, z_uj))
        L = alpha A - beta R

    A and R lie in [0, 4]; with two views A is the alignment. With gradients through the weights a positive nearer than
    their mean by more than 1 / tau_pos is pushed away, and a negative farther by more than 1 / tau_neg pulled in.

    Args:
        views: two or more views of one batch, each (N, D) floating point, N >= 2; equal rows belong together.
        tau_pos, tau_neg: >= 0, per squared distance; at 0 all weights are equal, large ones leave the extreme only.
        alpha, beta: >= 0, weights of the two costs; 0 leaves one out.
        detach_weights: no gradient through the softmax weights, as in the form with a queue.

    Raises:
        TypeError, ValueError: fewer than two views, not floating point, wrong or unequal shapes, one row, NaN, a
            negative number.

    Source: Zheng, Chen, Yao, Yang, Li, Zhang et al. 2023, arXiv 2105.03746.

    >>> print(f"{cacr([torch.eye(3), torch.eye(3)], tau_pos=1.0, tau_neg=2.0):.5f}")
    -2.00000
    """
    checks.not_negative(tau_pos=tau_pos, tau_neg=tau_neg, alpha=alpha, beta=beta)
    if len(views) < 2:
        raise ValueError(f"views must hold two or more views of one batch, got {len(views)}")
    for v, view in enumerate(views):
        checks.pair(views[0], view, ("views[0]", f"views[{v}]"))
    z = torch.stack([unit(view) for view in views])  # (V, N, D)
    of_one_sample = z.transpose(0, 1)  # (N, V, D)
    attraction = _expected(of_one_sample, of_one_sample, tau_pos, detach_weights)
    v, u = torch.triu_indices(len(z), len(z), offset=1, device=z.device)  # each pair of views once
    repulsion = _expected(z[v], z[u], -tau_neg, detach_weights)
    return alpha * attraction - beta * repulsion


def _expected(queries: Tensor, keys: Tensor, sharpness: float, detach: bool) -> Tensor:
    """Mean over queries of the squared distance to a key, drawn by softmax(sharpness * distance); never the own key."""
    d = 2 - 2 * similarities(queries, keys)  # (..., M, M)
    own = torch.eye(d.shape[-1], dtype=torch.bool, device=d.device)
    logits = sharpness * (d.detach() if detach else d)
    share = logits.masked_fill(own, -torch.inf).softmax(-1)
    return (share * d).sum(-1).mean()
