"""What finds poisoned pictures: one score per picture, one scorer per file, and one way to judge them all."""

from sslwork.detectors.activation_clustering import activation_clustering
from sslwork.detectors.beyond import beyond
from sslwork.detectors.report import Detection, report
from sslwork.detectors.spectral_signature import spectral_signature
from sslwork.detectors.strip import strip

__all__ = ["Detection", "activation_clustering", "beyond", "report", "spectral_signature", "strip"]
