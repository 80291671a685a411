"""Negative-positive coupling: how much of its pull NT-Xent lets through."""

import math

import torch
from torch import Tensor

from sslwork import checks, losses


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


def coupling_of(positive: Tensor, negative: Tensor, *, pictures: int, temperature: float) -> Tensor:
    r"""q of an anchor whose negatives are all equally similar to it: what one sees at a glance.

        q = sigmoid(log(2N - 2) + (negative - positive) / temperature)

    The pull on the positive is then q / temperature with NT-Xent and 1 / temperature with DCL.

    Args:
        positive, negative: cosine similarities to the positive and to each negative, tensors of any shape.
        pictures: N >= 2, in the batch.
        temperature: > 0, in units of cosine similarity.

    >>> coupling_of(torch.tensor([0.0, 0.9]), torch.tensor(0.0), pictures=32, temperature=0.1)
    tensor([0.9841, 0.0076])
    """
    checks.positive(temperature, "temperature")
    if pictures < 2:
        raise ValueError(f"pictures must be at least 2: a batch of {pictures} has no negatives")
    return (math.log(2 * pictures - 2) + (negative - positive) / temperature).sigmoid()
