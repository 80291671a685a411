"""What finds poisoned pictures: one score per picture, one scorer per file, one way to judge them.

`neural_cleanse` scores classes instead, and `fine_pruning` mends a model."""

from sslwork.detectors.activation_clustering import activation_clustering
from sslwork.detectors.beyond import beyond
from sslwork.detectors.fine_pruning import Pruned, fine_pruning
from sslwork.detectors.neural_cleanse import Cleansed, neural_cleanse
from sslwork.detectors.patch_search import patch_search
from sslwork.detectors.report import Detection, report
from sslwork.detectors.spectral_signature import spectral_signature
from sslwork.detectors.strip import strip

__all__ = [
    "Cleansed", "Detection", "Pruned", "activation_clustering", "beyond", "fine_pruning", "neural_cleanse", "patch_search",
    "report", "spectral_signature", "strip",
]  # fmt: skip
