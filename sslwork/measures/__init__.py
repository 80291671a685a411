"""Measures of representations. Each says its convention; probes carry their protocol with the number.

Beside these: `dilemma`, what a temperature trades off; `false_negatives`, how often a batch holds them.
"""

from sslwork.measures.collapse import Verdict, collapse
from sslwork.measures.coupling import coupling, coupling_of
from sslwork.measures.geometry import alignment, tolerance, uniformity
from sslwork.measures.hardness import Pushes, relative_penalty, relative_penalty_entropy
from sslwork.measures.moments import Moments, moments
from sslwork.measures.neighbours import Neighbours, knn_margin, neighbours
from sslwork.measures.one_pass import naive_bayes, ridge
from sslwork.measures.probes import knn, linear
from sslwork.measures.rank import (
    Bounded,
    alpha_req,
    anisotropy,
    effective_rank,
    participation_ratio,
    rankme,
    singular_values,
    stable_rank,
)
from sslwork.measures.score import Score
from sslwork.measures.similarity import cka
from sslwork.measures.table import probe_table

__all__ = [
    "Bounded", "Moments", "Neighbours", "Pushes", "Score", "Verdict", "alignment", "alpha_req", "anisotropy", "cka",
    "collapse", "coupling", "coupling_of", "effective_rank", "knn", "knn_margin", "linear", "moments",
    "naive_bayes", "neighbours", "participation_ratio", "probe_table", "rankme", "relative_penalty",
    "relative_penalty_entropy", "ridge", "singular_values", "stable_rank", "tolerance", "uniformity",
]  # fmt: skip
