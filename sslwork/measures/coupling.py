"""Negative-positive coupling: how much of its pull NT-Xent lets through."""

import torch
from torch import Tensor

from sslwork import losses


@torch.no_grad()
def coupling(z1: Tensor, z2: Tensor, *, temperature: float) -> Tensor:
    r"""The factor q in which NT-Xent and DCL differ: every gradient of an anchor is multiplied by it.

        q_i = 1 - P(positive) = sigmoid(l_i),   l_i the DCL loss of anchor i

    Near 0 where the positive is easy: few negatives, all far, and a cold temperature.

    Args:
        z1, z2: two views of one batch, (N, D) floating point, N >= 2.
        temperature: > 0, in units of cosine similarity.

    Returns:
        (2N,) in 0..1, in the order z1 rows, z2 rows.

    Raises:
        TypeError, ValueError: as `losses.dcl`.

    Source: Yeh, Hong, Hsu, Liu, Chen, LeCun 2022, arXiv 2110.06848.

    >>> coupling(torch.eye(2), torch.eye(2), temperature=1.0)
    tensor([0.4239, 0.4239, 0.4239, 0.4239])
    """
    return losses.dcl(z1, z2, temperature=temperature, reduction="none").sigmoid()
