"""What redundancy-reduction losses are made of: standardised columns and the correlations between them."""

import torch
from torch import Tensor

from sslwork import checks
from sslwork.losses.similarity import similarities


def standardise(z: Tensor, *, unbiased: bool) -> Tensor:
    r"""Every column with mean 0 and standard deviation 1 over the batch; a constant column becomes 0.

        biased (Barlow Twins: batch norm without weights):  (z - mean) / sqrt(var + 1e-5),  var with 1/N
        unbiased (Mixed Barlow Twins):                      (z - mean) / (std + 1e-6),      std with 1/(N-1)

    Args:
        z: embeddings (N, D), N >= 2; half precision becomes float32.
        unbiased: which of the two.

    Raises:
        TypeError, ValueError: not floating point, fewer than two rows, NaN, too large to be squared.

    >>> standardise(torch.tensor([[5.0, 7.0], [9.0, 7.0]]), unbiased=True)
    tensor([[-0.7071,  0.0000],
            [ 0.7071,  0.0000]])
    """
    checks.embeddings(z, "z")
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    z = z - z[0].detach()  # no mean depends on it, and a constant column is now exactly 0
    centred = z - z.mean(0)
    spread = z.std(0) + 1e-6 if unbiased else (z.var(0, correction=0) + 1e-5).sqrt()  # (D,)
    if not torch.isfinite(spread).all():
        column = int((~torch.isfinite(spread)).nonzero()[0])
        raise ValueError(f"column {column} is too large to be squared in {z.dtype}; lower the learning rate")
    return centred / spread


def mean_product(a: Tensor, b: Tensor) -> Tensor:
    """a' b / N of (N, D) and (N, E): the (D, E) mean over rows of a_i b_j, not rounded by autocast."""
    return similarities(a.T, b.T) / len(a)


def cross_correlation(z1: Tensor, z2: Tensor, *, unbiased: bool = False) -> Tensor:
    r"""How column i of one view goes with column j of the other: C = s(z1)' s(z2) / N, s as in `standardise`.

    Args:
        z1, z2: two views of one batch, (N, D), N >= 2.
        unbiased: as in `standardise`; columns that agree then have C = (N-1)/N instead of 1.

    Returns:
        (D, D), entries in [-1, 1]; exchanging the views transposes it. Its rank is at most N - 1.

    Raises:
        TypeError, ValueError: not floating point, unequal shapes, fewer than two rows, NaN.

    Source: Zbontar, Jing, Misra, LeCun, Deny 2021, arXiv 2103.03230.
    """
    checks.pair(z1, z2)
    return mean_product(standardise(z1, unbiased=unbiased), standardise(z2, unbiased=unbiased))


def invariance(c: Tensor) -> Tensor:
    """How far a square matrix is from ones on its diagonal: sum_i (1 - c_ii)^2."""
    return (1 - c.diagonal()).square().sum()


def redundancy(c: Tensor) -> Tensor:
    """How far a square matrix is from zeros off its diagonal: sum_{i != j} c_ij^2."""
    return (c - c.diagonal().diag()).square().sum()


def floor(dim: int, rows: int, off_diagonal: float) -> float:
    r"""The least invariance + off_diagonal * redundancy which any C of `dim` columns and `rows` rows can have.

    C has rank r <= rows - 1, so |C|^2 >= (sum_i c_ii)^2 / r. With l = min(off_diagonal, 1) the smallest value follows
    at equal c_ii = 1 / (1 + k):

        floor = dim k / (1 + k),   k = l max(0, dim / r - 1)

    A diagonal of ones needs a redundancy of dim^2 / r - dim at least.

    >>> floor(32, 33, 0.25), floor(64, 33, 1.0), floor(64, 33, 0.25)
    (0.0, 32.0, 12.8)
    """
    k = min(off_diagonal, 1.0) * max(0.0, dim / (rows - 1) - 1)
    return dim * k / (1 + k)
