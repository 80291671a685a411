"""Measures of representations. Each says its convention; probes carry their protocol with the number."""

from sslwork.measures.collapse import Verdict, collapse
from sslwork.measures.geometry import alignment, tolerance, uniformity
from sslwork.measures.hardness import Pushes, relative_penalty, relative_penalty_entropy
from sslwork.measures.neighbours import Neighbours, knn_margin, neighbours
from sslwork.measures.probes import Score, knn, linear
from sslwork.measures.rank import rankme
from sslwork.measures.table import probe_table

__all__ = [
    "Neighbours", "Pushes", "Score", "Verdict", "alignment", "collapse", "knn", "knn_margin", "linear", "neighbours", "probe_table", "rankme",
    "relative_penalty", "relative_penalty_entropy", "tolerance", "uniformity",
]  # fmt: skip
