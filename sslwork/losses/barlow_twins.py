"""Barlow Twins: columns that agree between the views and tell nothing of each other."""

from torch import Tensor

from sslwork import checks
from sslwork.losses import columns


def barlow_twins(z1: Tensor, z2: Tensor, *, off_diagonal: float = 0.0051) -> Tensor:
    r"""Drive the correlation of the columns of two views to the identity.

    With C the (D, D) cross-correlation of columns standardised over the batch (biased variance plus 1e-5):

        L = sum_i (1 - C_ii)^2 + off_diagonal * sum_{i != j} C_ij^2

    Args:
        z1, z2: two views of one batch, (N, D) floating point, N >= 2. Rows are not scaled to length one.
        off_diagonal: >= 0. What counts is off_diagonal * D (42 in the paper, D = 8192): for D below 1000, take 8 / D
            to 40 / D. With D > N - 1 zero is out of reach, see `columns.floor`.

    Raises:
        TypeError, ValueError: not floating point, unequal shapes, fewer than two rows, NaN, off_diagonal < 0.

    Source: Zbontar, Jing, Misra, LeCun, Deny 2021, arXiv 2103.03230.

    >>> z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> [f"{barlow_twins(z, other, off_diagonal=0.5):.2f}" for other in (z, -z, z.flip(1))]
    ['0.00', '8.00', '3.00']
    """
    checks.not_negative(off_diagonal=off_diagonal)
    c = columns.cross_correlation(z1, z2)
    return columns.invariance(c) + off_diagonal * columns.redundancy(c)
