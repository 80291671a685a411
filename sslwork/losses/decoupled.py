"""DCL and DCLW: NT-Xent without the positive among those that are pushed away."""

import torch
from torch import Tensor

from sslwork import checks
from sslwork.losses.similarity import logsumexp, reduced, unit


def dcl(z1: Tensor, z2: Tensor, *, temperature: float | Tensor = 0.1, reduction: str = "mean") -> Tensor:
    r"""Decoupled contrastive loss: the pull on a positive does not fade when the negatives are few or far.

    With u the 2N rows of z1 and z2 scaled to length one, and p(i) the partner of row i:

        l_i = -u_i.u_p(i) / temperature + log sum_{k != i, p(i)} exp(u_i.u_k / temperature),   L = mean_i l_i

    NT-Xent is log(1 + exp l_i), so its gradient is that of l_i times sigmoid(l_i): the factor which this loss drops.
    It may be negative, and has no lower bound as the temperature falls.

    Args:
        z1, z2: two views of one batch, (N, D) floating point, N >= 2; row i of one belongs to row i of the other.
        temperature: > 0, in units of cosine similarity; a tensor gets a gradient.
        reduction: "mean" for a scalar, "none" for the (2N,) values in the order z1 rows, z2 rows.

    Raises:
        TypeError, ValueError: not floating point, wrong or unequal shapes, one row, NaN, temperature <= 0, another
            reduction.

    Source: Yeh, Hong, Hsu, Liu, Chen, LeCun 2022, arXiv 2110.06848.

    >>> print(f"{dcl(torch.eye(2), torch.eye(2), temperature=1.0):.5f}")
    -0.30685
    """
    positives, pushed = _sides(z1, z2, temperature)
    return reduced(pushed - positives.repeat(2) / temperature, reduction)


def dclw(
    z1: Tensor,
    z2: Tensor,
    *,
    temperature: float | Tensor = 0.1,
    sigma: float = 0.5,
    detach_weight: bool = False,
    reduction: str = "mean",
) -> Tensor:
    r"""DCL which pulls harder on the positives that are far: each pull is weighted by w_i, of mean one.

        w_i = 2 - exp(s_i / sigma) / mean_j exp(s_j / sigma),   s_i the cosine of row i of z1 and row i of z2
        l_i = -w_i s_i / temperature + log sum_{k != i, p(i)} exp(u_i.u_k / temperature),   L = mean_i l_i

    Args:
        z1, z2, temperature, reduction: as for `dcl`.
        sigma: > 0, in units of cosine similarity; the larger, the more equal the weights.
        detach_weight: no gradient through w_i. The authors' code lets it flow, some libraries do not.

    Raises:
        TypeError, ValueError: as `dcl`, and sigma <= 0.

    Source: Yeh, Hong, Hsu, Liu, Chen, LeCun 2022, arXiv 2110.06848.
    """
    checks.positive(sigma, "sigma")
    positives, pushed = _sides(z1, z2, temperature)
    weights = 2 - len(positives) * (positives / sigma).softmax(0)  # (N,), mean one
    if detach_weight:
        weights = weights.detach()
    return reduced(pushed - (weights * positives).repeat(2) / temperature, reduction)


def _sides(z1: Tensor, z2: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
    """Cosines of the positives (N,), and each anchor's log-sum-exp over the 2N - 2 negatives (2N,)."""
    checks.pair(z1, z2)
    u = unit(torch.cat([z1, z2]))  # (2N, D)
    picture = torch.arange(len(z1), device=u.device).repeat(2)  # views of one picture are not compared
    pushed = logsumexp(u, temperature=temperature, exclude=(picture, picture))
    u1, u2 = u.unflatten(0, (2, -1)).unbind()
    return (u1 * u2).sum(1), pushed
