"""SimSiam: predict the other view, whose side of the loss stands still."""

from torch import Tensor

from sslwork import checks
from sslwork.losses.similarity import unit


def simsiam(p1: Tensor, p2: Tensor, z1: Tensor, z2: Tensor) -> Tensor:
    r"""Negative cosine between the prediction from one view and the embedding of the other, both ways.

        L = -1/2 mean_i s(p1_i, z2_i) - 1/2 mean_i s(p2_i, z1_i),   in [-1, 1]

    with s the cosine. No gradient goes into z1 and z2: without this stop the loss is -1 at once, and all rows are one.

    Args:
        p1, p2: predictions h(z1), h(z2), (N, D) floating point, N >= 1.
        z1, z2: embeddings of the two views, (N, D).

    Raises:
        TypeError, ValueError: not floating point, unequal shapes, NaN.

    Source: Chen, He 2021, arXiv 2011.10566.

    >>> a, b = torch.eye(2), torch.eye(2).flip(0)
    >>> simsiam(a, a, a, a), simsiam(a, a, a, b)
    (tensor(-1.), tensor(-0.5000))
    """
    checks.pair(p1, z2, ("p1", "z2"), rows=1)
    checks.pair(p2, z1, ("p2", "z1"), rows=1)
    checks.pair(p1, p2, ("p1", "p2"), rows=1)
    return -((unit(p1) * unit(z2.detach())).sum(1) + (unit(p2) * unit(z1.detach())).sum(1)).mean() / 2
