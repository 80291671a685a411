"""Effective rank: over how many directions an embedding spreads."""

import torch
from torch import Tensor

from sslwork import checks


def rankme(z: Tensor, *, eps: float = 1e-7) -> float:
    r"""RankMe, a smooth count of the directions which embeddings use, between 1 and min(N, D).

        p_k = s_k / sum_j s_j + eps,   RankMe = exp(-sum_k p_k log p_k),   k = 1 .. min(N, D)

    with s the singular values of `z` as it stands: not centred, rows not normalised; p is not renormalised after
    eps. (eps = 1e-7 is the paper's; a widespread library uses 1e-5.) Computed in float64. Compare runs of one method
    and one width only.

    Args:
        z: embeddings of pictures in evaluation mode, (N, D); the paper uses 25,600 of them.
        eps: >= 0, keeps log finite.

    Raises:
        TypeError, ValueError: not floating point, wrong shape, NaN, negative eps.

    Source: Garrido, Balestriero, Najman, LeCun 2023, arXiv 2210.02885.

    >>> round(rankme(torch.eye(4)), 3)
    4.0
    """
    checks.embeddings(z, "z", rows=1)
    if eps < 0:
        raise ValueError(f"eps must not be negative, got {eps}")
    s = torch.linalg.svdvals(z.double())
    if s[0] == 0:
        return 1.0  # every row is zero: a single point
    p = s / s.sum() + eps
    return float(torch.special.entr(p).sum().exp())
