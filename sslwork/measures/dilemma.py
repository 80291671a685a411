"""What the temperature trades: rows spread evenly, or the rows of a class close together."""

from typing import NamedTuple

from torch import Tensor

from sslwork.measures.geometry import tolerance, uniformity
from sslwork.measures.moments import moments


class Dilemma(NamedTuple):
    """`uniformity`, and the mean cosine over pairs of one class (`tolerance`) and of two classes (`different`).

    Tolerance alone also rises when all rows draw together. The gap to `different` does not.

    Source: Wang & Liu 2021, arXiv 2012.09740.

    >>> Dilemma.of(torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]]), torch.tensor([0, 0, 1, 1]))[1:]
    (1.0, 0.0)
    """

    uniformity: float
    tolerance: float
    different: float

    @classmethod
    def of(cls, z: Tensor, labels: Tensor) -> "Dilemma":
        """From embeddings (N, D) with labels (N,); a mean over no pairs is NaN.

        Raises:
            TypeError, ValueError: not floating point, fewer than two rows, NaN, a label list of the wrong length.
        """
        m = moments(z, labels)
        sums = m.units  # (C, D) of unit rows, per class
        pairs = int(m.n**2 - m.counts.square().sum())
        across = float(sums.sum(0).square().sum() - sums.square().sum())
        return cls(uniformity(z), tolerance(m), across / pairs if pairs else float("nan"))
