"""NT-Xent, the loss of SimCLR."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks


def nt_xent(z1: Tensor, z2: Tensor, *, temperature: float = 0.1, reduction: str = "mean") -> Tensor:
    r"""Normalised temperature-scaled cross entropy: find your partner among all other rows of both views.

    With u the 2N rows of z1 and z2 scaled to length one, and p(i) the partner of row i:

        l_i = -u_i.u_p(i) / temperature + log sum_{k != i} exp(u_i.u_k / temperature),   L = mean_i l_i

    Args:
        z1, z2: two views of one batch, (N, D) floating point, N >= 1; row i of one belongs to row i of the other.
        temperature: > 0, in units of cosine similarity; smaller looks harder at the closest negatives.
        reduction: "mean" for a scalar, "none" for the (2N,) values in the order z1 rows, z2 rows.

    Raises:
        TypeError, ValueError: not floating point, wrong or unequal shapes, NaN, temperature <= 0.

    Source: Chen, Kornblith, Norouzi, Hinton 2020, arXiv 2002.05709. (Their code sums the two directions: twice this.)

    >>> print(f"{nt_xent(torch.eye(2), torch.eye(2), temperature=1.0):.5f}")
    0.55144
    """
    checks.pair(z1, z2, rows=1)
    checks.positive(temperature, "temperature")
    n = len(z1)
    u = F.normalize(torch.cat([z1, z2]), dim=1, eps=1e-12)  # (2N, D)
    logits = u @ u.T / temperature  # (2N, 2N)
    own = torch.eye(2 * n, dtype=torch.bool, device=u.device)
    partner = torch.arange(2 * n, device=u.device).roll(n)  # i -> i + N mod 2N
    return F.cross_entropy(logits.masked_fill(own, -torch.inf), partner, reduction=reduction)
