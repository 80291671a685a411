"""A map as a still picture: points coloured by kind or by a number."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from sslwork.plots.colours import Colouring
from sslwork.plots.style import FAINT, GREY, LOOK, Figure, bare, figure

MARKERS = "os^DvPX*<>"


@LOOK
def scatter(
    xy: np.ndarray,
    colour: Sequence[Any] | np.ndarray,
    *,
    title: str = "",
    selected: Sequence[int] | np.ndarray = (),
) -> Figure:
    """Points (N, 2), each coloured by its category (text, whole numbers) or its number (floating point).

    Args:
        colour: one entry per point.
        title: what the colour means.
        selected: rows to ring.
    """
    shade = Colouring(colour, len(xy))
    fig = figure(640, 420)
    ax = bare(fig.add_axes((0.0, 0.0, 0.74, 1.0)))
    ax.set_aspect("equal", adjustable="datalim")
    style: dict[str, Any] = {"s": 11, "linewidths": 0.3, "edgecolors": FAINT}
    if shade.names:
        for number, marker in enumerate(MARKERS[: shade.symbols.max() + 1]):
            rows = shade.symbols == number
            ax.scatter(
                xy[rows, 0], xy[rows, 1], c=np.array(shade.palette)[shade.codes[rows]], marker=marker, **style
            )
        _legend(fig, shade, title)
    else:
        drawn = ax.scatter(xy[:, 0], xy[:, 1], c=shade.codes, cmap="viridis", **style)
        bar = fig.colorbar(drawn, cax=fig.add_axes((0.77, 0.15, 0.02, 0.7)))
        bar.set_label(title)
        bar.outline.set_visible(False)
    if len(selected):
        ax.scatter(xy[selected, 0], xy[selected, 1], s=32, facecolors="none", edgecolors=GREY, linewidths=0.9)
    return fig


def _legend(fig: Figure, shade: Colouring, title: str) -> None:
    if len(shade.names) > 24:
        fig.text(0.76, 0.5, f"{title}\n{len(shade.names)} kinds", va="center")
        return
    marks = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=MARKERS[i // len(shade.hues) % len(MARKERS)],
            color=shade.palette[i],
            label=name,
        )
        for i, name in enumerate(shade.names)
    ]
    fig.legend(handles=marks, title=title, loc="center left", bbox_to_anchor=(0.74, 0.5))
