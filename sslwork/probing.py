"""How good is this encoder: k-NN and linear probe of its frozen representations, in one call."""

from torch import nn

from sslwork import checks, measures
from sslwork.data.pictures import PictureSet
from sslwork.embedding import embed


def accuracies(model: nn.Module, bank: PictureSet, queries: PictureSet, *, k: int = 20) -> dict[str, float]:
    """Accuracy in % of both probes, fitted on `bank` and read on `queries`: {"k-NN": ..., "linear": ...}.

    Protocol: see `measures.knn` (k neighbours, temperature 0.07) and `measures.linear` (logistic regression, C = 1).

    Args:
        model: an encoder; `nn.Flatten()` gives the raw pixels.
        bank, queries: with labels.

    Raises:
        ValueError: pictures without labels.
    """
    before, after = (embed(model, pictures, progress=False) for pictures in (bank, queries))
    y, truth = (
        checks.labels(bank.labels, len(bank), "bank"),
        checks.labels(queries.labels, len(queries), "queries"),
    )
    found = {
        "k-NN": measures.knn(before, y, after, truth, k=min(k, len(bank))),
        "linear": measures.linear(before, y, after, truth, c=1.0),
    }
    return {name: 100 * score.value for name, score in found.items()}
