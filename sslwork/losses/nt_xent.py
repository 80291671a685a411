"""NT-Xent, the loss of SimCLR."""

import torch
from torch import Tensor

from sslwork import checks
from sslwork.losses.similarity import logsumexp, reduced, unit


def nt_xent(z1: Tensor, z2: Tensor, *, temperature: float | Tensor = 0.1, reduction: str = "mean") -> Tensor:
    r"""Normalised temperature-scaled cross entropy: find your partner among all other rows of both views.

    With u the 2N rows of z1 and z2 scaled to length one, and p(i) the partner of row i:

        l_i = -u_i.u_p(i) / temperature + log sum_{k != i} exp(u_i.u_k / temperature),   L = mean_i l_i

    Args:
        z1, z2: two views of one batch, (N, D) floating point, N >= 1; row i of one belongs to row i of the other.
        temperature: > 0, in units of cosine similarity; smaller looks harder at the closest negatives. A
            tensor gets a gradient.
        reduction: "mean" for a scalar, "none" for the (2N,) values in the order z1 rows, z2 rows.

    Raises:
        TypeError, ValueError: not floating point, wrong or unequal shapes, NaN, temperature <= 0, another reduction.

    Source: Chen, Kornblith, Norouzi, Hinton 2020, arXiv 2002.05709. (Their code sums the two directions: twice this.)

    >>> print(f"{nt_xent(torch.eye(2), torch.eye(2), temperature=1.0):.5f}")
    0.55144
    """
    checks.pair(z1, z2, rows=1)
    u = unit(torch.cat([z1, z2]))  # (2N, D)
    others = logsumexp(u, temperature=temperature)  # (2N,)
    u1, u2 = u.unflatten(0, (2, -1)).unbind()
    partner = (u1 * u2).sum(1) / temperature  # (N,), the same seen from either side
    return reduced(others - partner.repeat(2), reduction)
