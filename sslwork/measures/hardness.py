"""Whom the contrastive loss pushes, and how hard: the role of the temperature."""

import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Pushes:
    """One anchor against its negatives at one temperature.

    `similarity` (M,) to each negative, hardest first, `rows` (M,) their rows, `share` (M,) of the push they get;
    `positive` is the similarity to the positive, `pull` the force on it as a share of 1 / temperature. Hard selection
    keeps the ceil(alpha M) hardest negatives, at least one; the others get no share.
    """

    anchor: int
    temperature: float
    rows: Tensor
    similarity: Tensor
    share: Tensor
    positive: float
    pull: float
    alpha: float = 1.0

    @classmethod
    def of(
        cls, units: Tensor, positives: Tensor | None, anchor: int, temperature: float, alpha: float = 1.0
    ) -> "Pushes":
        """From unit rows (N, D); without `positives` the positive is the anchor itself, at similarity 1."""
        similarity = units @ units[anchor]  # (N,)
        rows = similarity.argsort(descending=True)
        rows = rows[rows != anchor]
        negatives = similarity[rows]
        positive = 1.0 if positives is None else float(positives[anchor] @ units[anchor])
        hard = negatives[: _kept(alpha, len(rows))]
        # The loss is -log softmax over the positive and all kept negatives; its pull is 1 - p(positive).
        pull = torch.sigmoid((hard / temperature).logsumexp(0) - positive / temperature)
        share = torch.zeros_like(negatives)
        share[: len(hard)] = relative_penalty(hard, temperature=temperature)
        return cls(anchor, temperature, rows, negatives, share, positive, float(pull), alpha)

    @property
    def kept(self) -> int:
        """How many negatives the hard selection keeps; they come first."""
        return _kept(self.alpha, len(self.rows))

    @property
    def entropy(self) -> float:
        """Of the push, in nats: 0 when one negative takes it all, log M when all share alike."""
        return float(torch.special.entr(self.share).sum())

    def taking(self, share: float = 0.9) -> int:
        """How many negatives, hardest first, take this share of the push."""
        return min(int((self.share.cumsum(0) < share).sum()) + 1, self.kept)


def _kept(alpha: float, negatives: int) -> int:
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha is the share of negatives kept, above 0 and at most 1; got {alpha}")
    return max(1, math.ceil(round(alpha * negatives, 9)))  # 0.07 * 100 is 7, not a little more
