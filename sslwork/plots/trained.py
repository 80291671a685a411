"""One of several encoders trained at different temperatures: its map, and its numbers beside those of the others."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sslwork.measures.dilemma import Dilemma
from sslwork.plots.colours import Colouring
from sslwork.plots.dilemma import against, similarities
from sslwork.plots.scatter import MARKERS
from sslwork.plots.style import FAINT, LOOK, Figure, bare, figure


@LOOK
def trained(
    xy: np.ndarray, kinds: Sequence[str], hits: Mapping[float, float], ends: Mapping[float, Dilemma],
    temperature: float,
) -> Figure:  # fmt: skip
    """Points (N, 2) in [-1, 1] coloured by kind; beside them k-NN hits, uniformity and similarities against the temperature.

    Args:
        hits, ends: by temperature.
        temperature: of the encoder whose map this is.
    """
    fig = figure(840, 370)
    _map(fig.add_axes((0.0, 0.0, 0.47, 0.93)), xy, Colouring(kinds, len(xy)))
    fig.axes[0].set_title(f"trained at temperature {temperature:g}")
    axes = [fig.add_axes((0.69, bottom, 0.30, 0.20)) for bottom in (0.73, 0.42, 0.11)]
    against(axes[0], hits, temperature)
    against(axes[1], {t: end.uniformity for t, end in ends.items()}, temperature)
    similarities(axes[2], ends, temperature)
    for ax, title in zip(axes, ("k-NN hits", "uniformity", "similarity within / between"), strict=True):
        ax.set_title(title, loc="left")
        if ax is not axes[2]:
            ax.set_xticklabels([])
    axes[2].set_xlabel("temperature")
    return fig


def _map(ax: Axes, xy: np.ndarray, shade: Colouring) -> None:
    bare(ax).set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal")
    for number in range(shade.symbols.max() + 1):
        rows = shade.symbols == number
        hues = np.array(shade.palette)[shade.codes[rows]]
        ax.scatter(
            xy[rows, 0], xy[rows, 1], s=9, c=hues, marker=MARKERS[number], linewidths=0.3, edgecolors=FAINT
        )
    marks = [MARKERS[i // len(shade.hues) % len(MARKERS)] for i in range(len(shade.names))]
    handles = [
        Line2D([], [], linestyle="", marker=mark, color=colour, label=name[:18])
        for mark, colour, name in zip(marks, shade.palette, shade.names, strict=True)
    ]
    if len(handles) <= 16:
        ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=0.8)
