"""Alignment and uniformity, the two aims of contrastive learning, as a loss."""

import math

from torch import Tensor

from sslwork import checks
from sslwork.losses.similarity import logsumexp, unit


def align_uniform(
    z1: Tensor, z2: Tensor, *, alpha: float = 2.0, t: float = 2.0, uniformity: float = 1.0
) -> Tensor:
    r"""Views close to each other, rows spread over the sphere; with x, y the rows of z1, z2 scaled to length one:

        L = mean_i |x_i - y_i|^alpha + uniformity * (U(x) + U(y)) / 2,   U(x) = log mean_{i<j} exp(-t |x_i - x_j|^2)

    U is 0 for collapsed rows and about -2t for even ones. It is worked out from |x_i - x_j|^2 = 2 - 2 x_i.x_j, block by
    block; a row of zeros therefore counts as at right angles to all others.

    Args:
        z1, z2: two views of one batch, (N, D) floating point, N >= 2.
        alpha: > 0, power of the distance.
        t: > 0, sharpness of the Gaussian.
        uniformity: >= 0, weight of U.

    Raises:
        TypeError, ValueError: not floating point, unequal shapes, fewer than two rows, NaN, alpha or t <= 0.

    Source: Wang, Isola 2020, arXiv 2005.10242.

    >>> print(f"{align_uniform(torch.eye(3), torch.eye(3)):.4f}")
    -4.0000
    """
    checks.pair(z1, z2)
    checks.positive(alpha, "alpha")
    checks.positive(t, "t")
    checks.not_negative(uniformity=uniformity)
    x, y = unit(z1), unit(z2)
    apart = (x - y).norm(dim=1)  # (N,)
    align = apart[apart > 0].pow(alpha).sum() / len(apart)  # at 0 a power below 1 has no gradient
    return align + uniformity * (_evenness(x, t) + _evenness(y, t)) / 2


def _evenness(u: Tensor, t: float) -> Tensor:
    pairs = math.log(len(u) * (len(u) - 1))
    return logsumexp(u, temperature=1 / (2 * t)).logsumexp(0) - 2 * t - pairs
