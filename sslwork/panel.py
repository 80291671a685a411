"""What is measured while a method trains: the instruments on the panel."""

from dataclasses import dataclass

from torch import Tensor

from sslwork import checks, measures
from sslwork.data.pictures import PictureSet
from sslwork.embedding import embed
from sslwork.measures.collapse import deviation
from sslwork.methods import Method
from sslwork.seeds import generator
from sslwork.views import Views


@dataclass(frozen=True)
class Reading:
    """One look at the panel: numbers by name, a verdict on collapse, and the representations (Q, D) they belong to.

    `spectra` holds singular values, largest first, and the spread of each dimension, of "representation" and
    "embedding": {"representation": (min(Q, D),), "embedding": ..., "deviation_before": (D,), "deviation": ...}.
    """

    numbers: dict[str, float]
    verdict: measures.Verdict
    features: Tensor
    spectra: dict[str, Tensor]


class Panel:
    """Instruments read on pictures held out from training.

    k-NN accuracy is read from the encoder's representations of `bank` and `queries` (only if both have labels);
    RankMe, spread, alignment, uniformity and the collapse verdict from the embeddings after the head, where the loss
    works; `rank_before` and `spread_before` are those of the representations, so that one sees what the head does.
    The views for alignment are drawn once, so that readings of different steps can be compared.
    """

    def __init__(
        self, bank: PictureSet, queries: PictureSet, views: Views | None = None, *, k: int = 20, seed: int = 0
    ) -> None:
        self.bank, self.queries, self.k = bank, queries, min(k, len(bank))
        self.pair = (views or Views()).pair(queries.images, generator(seed))

    def __call__(self, method: Method) -> Reading:
        features = embed(method.encoder, self.queries, progress=False)
        z1, z2 = (embed(method, view, progress=False) for view in self.pair)
        checks.embeddings(features, "the representations")
        checks.embeddings(z1, "the embeddings")
        before, verdict = measures.collapse(features), measures.collapse(z1)
        numbers = {
            "rankme": verdict.rank,
            "spread": verdict.spread,
            "rank_before": before.rank,
            "spread_before": before.spread,
            "alignment": measures.alignment(z1, z2),
            "uniformity": measures.uniformity(z1),
        }
        if self.bank.labels is not None and self.queries.labels is not None:
            bank = embed(method.encoder, self.bank, progress=False)
            numbers["knn"] = measures.knn(
                bank, self.bank.labels, features, self.queries.labels, k=self.k
            ).value
        spectra = {
            "representation": measures.singular_values(features),
            "embedding": measures.singular_values(z1),
            "deviation_before": deviation(features),
            "deviation": deviation(z1),
        }
        return Reading(numbers, verdict, features, spectra)
