"""The contrastive loss with its hardest negatives only, and the loss that knows no hardness."""

import math

import torch
from torch import Tensor

from sslwork import checks
from sslwork.losses.similarity import reduced, similarities, unit


def hard_contrastive(
    z1: Tensor, z2: Tensor, *, temperature: float, alpha: float, reduction: str = "mean"
) -> Tensor:
    r"""Softmax contrastive loss of z1 against z2, in which each anchor meets only the nearest of its negatives.

    With s_ij the cosine of row i of z1 and row j of z2, and H_i the ceil(alpha (N - 1)) largest s_ij with j != i:

        l_i = -s_ii / temperature + log[ exp(s_ii / temperature) + sum_{j in H_i} exp(s_ij / temperature) ]

    Args:
        z1: anchors, (N, D) floating point, N >= 2.
        z2: row i is the positive of anchor i, all other rows are its negatives, (N, D).
        temperature: > 0, in units of cosine similarity.
        alpha: share of the negatives that are kept, in (0, 1]; 1 is the ordinary loss. Of equal ones as many are kept
            as are needed. Which are kept has no gradient.
        reduction: "mean" for a scalar, "none" for the (N,) values.

    Raises:
        TypeError, ValueError: not floating point, wrong or unequal shapes, one row, NaN, temperature <= 0, alpha
            outside (0, 1], another reduction.

    Source: Wang & Liu 2021, arXiv 2012.09740.

    >>> print(f"{hard_contrastive(torch.eye(3), torch.eye(3), temperature=1.0, alpha=0.5):.5f}")
    0.31326
    """
    checks.positive(temperature, "temperature")
    positives, hard = _hardest(z1, z2, alpha)
    logits = torch.cat([positives[:, None], hard], 1) / temperature  # (N, 1 + kept)
    return reduced(logits.logsumexp(1) - logits[:, 0], reduction)


def simple_contrastive(
    z1: Tensor, z2: Tensor, *, weight: float, alpha: float = 1.0, reduction: str = "mean"
) -> Tensor:
    r"""Pull the positive, push all kept negatives alike: l_i = -s_ii + weight sum_{j in H_i} s_ij.

    The direction in which the softmax loss pushes as its temperature grows, so a loss that is blind to hardness.

    Args:
        z1, z2, alpha, reduction: as for `hard_contrastive`; alpha < 1 is the "hard simple" loss.
        weight: >= 0, of each negative.

    Raises:
        TypeError, ValueError: as `hard_contrastive`, and weight < 0.

    Source: Wang & Liu 2021, arXiv 2012.09740.
    """
    checks.not_negative(weight=weight)
    positives, hard = _hardest(z1, z2, alpha)
    return reduced(weight * hard.sum(1) - positives, reduction)


def _hardest(z1: Tensor, z2: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Cosines of each anchor to its positive (N,), and to its hardest negatives (N, kept), nearest first."""
    checks.pair(z1, z2)
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha is the share of negatives kept, above 0 and at most 1; got {alpha}")
    s = similarities(unit(z1), unit(z2))  # (N, N)
    negatives = s.masked_fill(torch.eye(len(s), dtype=torch.bool, device=s.device), -torch.inf)
    kept = math.ceil(round(alpha * (len(s) - 1), 9))  # 0.07 * 100 is 7, not a little more
    return s.diagonal(), negatives.topk(max(1, kept), dim=1).values
