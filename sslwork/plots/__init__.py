"""Plots: data in, a figure out. None of them keeps a state, and none knows of widgets.

Here are those for any experiment; one made for a single question is imported from its own file, named after it.
"""

from sslwork.plots.against import against
from sslwork.plots.arms import arms
from sslwork.plots.caps import by_size, solved_caps
from sslwork.plots.coupling import coupling_law, couplings
from sslwork.plots.courses import courses
from sslwork.plots.curves import training
from sslwork.plots.maps import follow, following, map2d
from sslwork.plots.ranks import ranks
from sslwork.plots.scatter import scatter
from sslwork.plots.sheets import pairs, pictures
from sslwork.plots.sorting import sorting_network
from sslwork.plots.umap_layout import warm_up

__all__ = [
    "against",
    "arms",
    "by_size",
    "coupling_law",
    "couplings",
    "courses",
    "follow",
    "following",
    "map2d",
    "pairs",
    "pictures",
    "ranks",
    "scatter",
    "solved_caps",
    "sorting_network",
    "training",
    "warm_up",
]
