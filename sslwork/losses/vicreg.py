"""VICReg: views that agree, columns that keep a spread and do not go together."""

import torch
from torch import Tensor

from sslwork import checks
from sslwork.losses import columns


def vicreg(
    z1: Tensor, z2: Tensor, *, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0
) -> Tensor:
    r"""Three terms: the views agree, every column spreads by one at least, columns of a view are uncorrelated.

        L = invariance * mean (z1 - z2)^2 + variance * (v(z1) + v(z2)) / 2 + covariance * (c(z1) + c(z2))
        v(z) = mean_d relu(1 - sqrt(Var(z_d) + 1e-4)),   c(z) = sum_{i != j} Cov(z)_ij^2 / D

    with Var and Cov over the batch, unbiased. Unlike Barlow Twins, nothing is standardised, and each view has its own
    covariance. Collapsed rows cost variance * 0.99.

    Args:
        z1, z2: two views of one batch, (N, D) floating point, N >= 2. Rows are not scaled to length one.
        invariance, variance, covariance: weights of the terms, >= 0.

    Raises:
        TypeError, ValueError: not floating point, unequal shapes, fewer than two rows, NaN, so large that the squared
            covariance overflows, a weight < 0.

    Source: Bardes, Ponce, LeCun 2022, arXiv 2105.04906.

    >>> z = torch.ones(4, 3)
    >>> print(f"{vicreg(z, z):.2f}")
    24.75
    """
    checks.pair(z1, z2)
    checks.not_negative(invariance=invariance, variance=variance, covariance=covariance)
    z1, z2 = (z.to(torch.promote_types(z.dtype, torch.float32)) for z in (z1, z2))
    (v1, c1), (v2, c2) = _spread(z1), _spread(z2)
    loss = invariance * (z1 - z2).square().mean() + variance * (v1 + v2) / 2 + covariance * (c1 + c2)
    if not torch.isfinite(loss):
        raise ValueError(f"z1 or z2 is too large to be squared twice in {z1.dtype}; lower the learning rate")
    return loss


def _spread(z: Tensor) -> tuple[Tensor, Tensor]:
    """What columns lack of a standard deviation of one, and what they share with each other."""
    centred = z - z.mean(0)
    cov = columns.mean_product(centred, centred) * (len(z) / (len(z) - 1))  # (D, D)
    lacking = torch.relu(1 - (cov.diagonal() + 1e-4).sqrt()).mean()
    return lacking, columns.redundancy(cov) / z.shape[1]
