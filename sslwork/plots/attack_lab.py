"""Pictures before and after somebody changed them: the curve so far, where their rows go, and what was changed."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from sslwork.attacks.intervals import wilson
from sslwork.plots.sheets import to_pixels
from sslwork.plots.style import FAINT, GREY, LINES, LOOK, Figure, bare, figure
from sslwork.plots.universal import moved

Trace = Mapping[float, tuple[int, int]]  # strength -> (hits, pictures)
CELL = 62  # pixels of page


@LOOK
def watched(
    traces: Mapping[str, Trace], now: float, before: Tensor, after: Tensor, labels: Tensor, clean: Tensor, changed: Tensor,
    *, across: str, up: str, end: float, amplify: float = 4.0,
) -> Figure:  # fmt: skip
    """Left the curves as far as they were traced, right rows on the move, below pictures, changed, and the change.

    Args:
        traces: name -> {strength: (hits, pictures)}, drawn with 95 % intervals; names that begin with "control" are grey.
        now: the strength to mark.
        before, after: rows (M, D); labels: (M,) their classes.
        clean, changed: pictures (N, C, H, W) in [0, 1], ten at most.
        across, up: what the axes of the curve show; end: the largest strength, where the axis ends.
        amplify: the change is shown so many times as large, about mid-grey.

    Raises:
        ValueError: no trace, or pictures that are no pairs.
    """
    if not any(traces.values()):
        raise ValueError("nothing was traced yet: give at least one strength with its hits")
    if clean.shape != changed.shape:
        raise ValueError(f"pictures must come in pairs, got {tuple(clean.shape)} and {tuple(changed.shape)}")
    width, height = 840, 250 + 3 * (CELL + 6)
    fig = figure(width, height)
    bottom, tall = 1 - 205 / height, 180 / height
    _curve(fig.add_axes((0.065, bottom, 0.36, tall)), traces, now, across, up, end)
    rows_ax = fig.add_axes((0.66, bottom - 0.02, 0.33, tall))
    moved(rows_ax, before, after, labels)
    rows_ax.set_title("rows (PCA of both), on the move")
    lines = {
        "as it is": clean,
        "changed": changed,
        f"change x {amplify:g}": (0.5 + amplify * (changed - clean)).clamp(0, 1),
    }
    for line, (name, images) in enumerate(lines.items()):
        y = 1 - (250 + (line + 1) * (CELL + 4)) / height
        fig.text(88 / width, y + CELL / 2 / height, name, ha="right", va="center")
        for i, pixels in enumerate(to_pixels(images)):
            box = ((98 + i * (CELL + 6)) / width, y, CELL / width, CELL / height)
            bare(fig.add_axes(box)).imshow(pixels, interpolation="nearest")
    return fig


def _curve(ax: Axes, traces: Mapping[str, Trace], now: float, across: str, up: str, end: float) -> None:
    colours = iter(LINES * len(traces))
    for name, trace in traces.items():
        if not trace:
            continue
        control = name.startswith("control")
        colour = GREY if control else next(colours)
        strengths = sorted(trace)
        share = np.array([trace[s][0] / trace[s][1] for s in strengths])
        low, high = np.array([wilson(*trace[s]) for s in strengths]).T
        bars = np.maximum(0, [share - low, high - share])
        told = name.replace(", ", ",\n") if len(name) > 31 else name  # a longer line would reach into the map
        ax.errorbar(strengths, share, yerr=bars, color=colour, fmt="--o" if control else "-o", markersize=3.5,
                    linewidth=1.3, elinewidth=0.8, label=told)  # fmt: skip
    ax.axvline(now, color=FAINT, linewidth=4, zorder=0)
    ax.set(xlabel=across, ylabel=up, xlim=(-0.03 * end, 1.03 * end), ylim=(-0.03, 1.03))
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), fontsize=7.5)
