"""SupCon: all rows of one class are each other's positives."""

import torch
from torch import Tensor

from sslwork import checks
from sslwork.losses.similarity import logsumexp, unit


def supcon(
    features: Tensor, labels: Tensor, *, temperature: float | Tensor = 0.1, drop_without_positive: bool = True
) -> Tensor:
    r"""The supervised contrastive loss: draw together what has one label, push all else away.

    With u the rows scaled to length one, P(i) the other rows with the label of row i, and A the rows whose P is not
    empty:

        l_i = -1/|P(i)| sum_{p in P(i)} log [ exp(u_i.u_p / temperature) / sum_{k != i} exp(u_i.u_k / temperature) ]
        L = 1/|A| sum_{i in A} l_i

    Several views of a picture are rows of their own, with the same label. No (N, N) matrix is held: the sum over the
    positives is one product with the sum of the class.

    Args:
        features: (N, D) floating point, N >= 2.
        labels: (N,) whole numbers, >= 0.
        temperature: > 0, in units of cosine similarity. A tensor of one element gets a gradient.
        drop_without_positive: leave rows without a positive out of A; if no row has one, the loss is 0. Else they are
            refused.

    Raises:
        TypeError, ValueError: not floating point, wrong shapes, NaN, temperature <= 0, a row without a positive.

    Source: Khosla and others 2020, arXiv 2004.11362 (their L_out, with one view or more).

    >>> print(f"{supcon(torch.ones(4, 2), torch.zeros(4, dtype=torch.long)):.4f}")  # log 3
    1.0986
    """
    checks.embeddings(features, "features")
    _, own = checks.labels(labels, len(features)).to(features.device).unique(return_inverse=True)  # (N,)
    u = unit(features)
    others = own.bincount()[own] - 1  # (N,) |P(i)|
    if not drop_without_positive and (alone := (others == 0).nonzero().flatten()).numel():
        raise ValueError(
            f"{len(alone)} rows have no other row with their label, first row {int(alone[0])}; use a sampler that "
            "draws two of each class, or drop_without_positive=True"
        )
    total = torch.zeros(int(own.max()) + 1, u.shape[1], dtype=u.dtype, device=u.device).index_add(0, own, u)
    towards = (u * (total[own] - u)).sum(1) / others.clamp(min=1) / temperature  # (N,)
    each = (logsumexp(u, temperature=temperature) - towards) * (others > 0)
    return each.sum() / (others > 0).sum().clamp(min=1)
