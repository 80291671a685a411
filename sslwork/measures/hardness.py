"""Whom the contrastive loss pushes, and how hard: the role of the temperature."""

import torch
from torch import Tensor

from sslwork import checks


def relative_penalty(negatives: Tensor, *, temperature: float) -> Tensor:
    r"""Share of the push which each negative of an anchor gets: r_j = exp(s_j / tau) / sum_k exp(s_k / tau).

    r_j is |dL/ds_j| / |dL/ds_positive| for the softmax contrastive loss: a Boltzmann law of the similarities. It sums
    to one over the negatives.

    Args:
        negatives: cosine similarities of the anchor(s) to their negatives, (..., M).
        temperature: > 0.

    Source: Wang & Liu 2021, arXiv 2012.09740.

    >>> [round(float(r), 5) for r in relative_penalty(torch.tensor([0.9, 0.1]), temperature=0.1)]
    [0.99966, 0.00034]
    """
    checks.positive(temperature, "temperature")
    if not torch.isfinite(negatives).all():
        raise ValueError("negatives hold NaN or infinity; give cosine similarities")
    return (negatives / temperature).softmax(dim=-1)


def relative_penalty_entropy(negatives: Tensor, *, temperature: float) -> Tensor:
    """Entropy of the push, in nats, (...,): 0 when one negative takes it all, log M when all share alike."""
    return torch.special.entr(relative_penalty(negatives, temperature=temperature)).sum(dim=-1)
