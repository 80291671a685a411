"""Plots: data in, a figure out. None of them keeps a state, and none knows of widgets."""

from sslwork.plots.curves import training
from sslwork.plots.maps import follow, map2d
from sslwork.plots.scatter import scatter
from sslwork.plots.sheets import pairs, pictures

__all__ = ["follow", "map2d", "pairs", "pictures", "scatter", "training"]
