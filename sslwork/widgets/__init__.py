"""Widgets: dashboards to look through, each settable from Python, each leaving a still in the saved notebook."""

from sslwork.widgets.arrows import ForceArrows
from sslwork.widgets.attack_lab import attack_lab
from sslwork.widgets.correlation_lab import CorrelationLab
from sslwork.widgets.dashboard import Dashboard
from sslwork.widgets.embedding_map import EmbeddingMap
from sslwork.widgets.live_training import LiveTraining
from sslwork.widgets.rank_lab import RankLab
from sslwork.widgets.sliders import Sliders
from sslwork.widgets.sphere_toy import SphereToy
from sslwork.widgets.tabbed import Tabbed
from sslwork.widgets.temperature_lab import TemperatureLab
from sslwork.widgets.views_lab import ViewsLab

__all__ = [
    "CorrelationLab",
    "Dashboard",
    "EmbeddingMap",
    "ForceArrows",
    "LiveTraining",
    "RankLab",
    "Sliders",
    "SphereToy",
    "Tabbed",
    "TemperatureLab",
    "ViewsLab",
    "attack_lab",
]
