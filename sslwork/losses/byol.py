"""BYOL: predict the embedding that a slowly moving copy of the network gives of the other view."""

from torch import Tensor

from sslwork.losses.simsiam import simsiam


def byol(p1: Tensor, p2: Tensor, z1: Tensor, z2: Tensor) -> Tensor:
    r"""Squared distance between predictions and targets, all of length one, summed over both directions.

        L = mean_i (2 - 2 s(p1_i, z2_i)) + mean_i (2 - 2 s(p2_i, z1_i)),   in [0, 8]

    with s the cosine. It is 4 + 4 times the loss of SimSiam; what differs is who makes z1 and z2. No gradient goes
    into them.

    Args:
        p1, p2: predictions of the online network for the two views, (N, D) floating point, N >= 1.
        z1, z2: embeddings of the two views by the target network, (N, D).

    Raises:
        TypeError, ValueError: not floating point, unequal shapes, NaN.

    Source: Grill et al. 2020, arXiv 2006.07733. (Some code takes the mean of the directions: half of this.)

    >>> a, b = torch.eye(2), torch.eye(2).flip(0)
    >>> byol(a, a, a, a), byol(a, a, a, b), byol(a, a, -a, -a)
    (tensor(0.), tensor(2.), tensor(8.))
    """
    return 4 + 4 * simsiam(p1, p2, z1, z2)
