"""Measures of representations. Each says its convention; probes carry their protocol with the number.

`summary` gives all of them at once, `point_columns` those of single rows, `READING` how to read them. Beside these:
`dilemma`, what a temperature trades off; `false_negatives`, how often a batch holds them; `ood`, out of distribution.
"""

from sslwork.measures.clusters import Clusters, centroid_silhouette, clusters, silhouette
from sslwork.measures.collapse import RawDeviation, Verdict, collapse, raw_deviation
from sslwork.measures.columns import point_columns
from sslwork.measures.coupling import coupling, coupling_of
from sslwork.measures.density import density, outlier_score
from sslwork.measures.duplicates import copies, duplicates
from sslwork.measures.geometry import alignment, batched_uniformity, tolerance, uniformity
from sslwork.measures.hardness import Pushes, relative_penalty, relative_penalty_entropy
from sslwork.measures.hubness import Hubness, hubness
from sslwork.measures.intrinsic import TwoNN, two_nn, two_nn_series
from sslwork.measures.lidar import lidar
from sslwork.measures.map_quality import MapQuality, continuity, map_quality, trustworthiness
from sslwork.measures.measure import Measure, records
from sslwork.measures.membership import membership
from sslwork.measures.moments import Moments, moments
from sslwork.measures.neighbours import Neighbours, neighbours
from sslwork.measures.one_pass import naive_bayes, ridge
from sslwork.measures.probes import knn, linear
from sslwork.measures.rank import (
    Bounded,
    alpha_req,
    anisotropy,
    centred_rankme,
    effective_rank,
    entropy_rank,
    participation_ratio,
    rankme,
    singular_values,
    stable_rank,
)
from sslwork.measures.reading import READING
from sslwork.measures.score import PerPoint, Score
from sslwork.measures.shared import shared_neighbours
from sslwork.measures.similarity import cka
from sslwork.measures.summary import summary
from sslwork.measures.table import probe_table
from sslwork.measures.votes import Hit, knn_margin, neighbourhood_hit

__all__ = [
    "READING", "Bounded", "Clusters", "Hit", "Hubness", "MapQuality", "Measure", "Moments", "Neighbours", "PerPoint", "Pushes",
    "RawDeviation", "Score", "TwoNN", "Verdict", "alignment", "alpha_req", "anisotropy", "batched_uniformity",
    "centred_rankme", "centroid_silhouette", "cka", "clusters", "collapse", "continuity", "copies", "coupling",
    "coupling_of", "density", "duplicates", "effective_rank", "entropy_rank", "hubness", "knn", "knn_margin", "lidar",
    "linear", "map_quality", "membership", "moments", "naive_bayes", "neighbourhood_hit", "neighbours", "outlier_score", "participation_ratio",
    "point_columns", "probe_table", "rankme", "raw_deviation", "records", "relative_penalty",
    "relative_penalty_entropy", "ridge", "shared_neighbours", "silhouette", "singular_values", "stable_rank", "summary",
    "tolerance", "trustworthiness", "two_nn", "two_nn_series", "uniformity",
]  # fmt: skip
