"""Points on a sphere under the contrastive loss, and what the temperature trades: evenness against classes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor

from sslwork.plots.style import BAD, FAINT, GREY, LOOK, PALETTE, Figure, bare, figure

Trace = Sequence[tuple[float, float]]  # (uniformity, tolerance) over time
Ends = Mapping[float, tuple[float, float]]  # the last of each temperature


@LOOK
def dilemma(points: Tensor, labels: Tensor, trace: Trace, now: int, ends: Ends, temperature: float) -> Figure:
    """Two hemispheres of coloured points; beside them, uniformity against tolerance.

    Args:
        points: (N, 3) on the unit sphere, with their clusters `labels` (N,).
        trace: (uniformity, tolerance) at equal times, of which number `now` is shown.
        ends: where other temperatures ended.
        temperature: of this trace.
    """
    fig = figure(840, 315)
    xyz, colours = points.numpy(), np.array(PALETTE)[labels.numpy() % len(PALETTE)]
    for i, (name, front) in enumerate((("front", True), ("back, from behind", False))):
        _hemisphere(fig.add_axes((0.005 + 0.31 * i, 0.02, 0.30, 0.86)), xyz, colours, front, name)
    _plane(fig.add_axes((0.695, 0.15, 0.295, 0.70)), trace, now, ends, temperature)
    return fig


def _hemisphere(ax: Axes, xyz: np.ndarray, colours: np.ndarray, front: bool, name: str) -> None:
    """Seen from the side it is on, so that the back is mirrored, as when one walks around a globe."""
    seen = xyz[:, 1] < 0 if front else xyz[:, 1] >= 0
    across = xyz[:, 0] if front else -xyz[:, 0]
    bare(ax).set(xlim=(-1.04, 1.04), ylim=(-1.04, 1.04), aspect="equal")
    ax.add_patch(Circle((0, 0), 1, facecolor="#80808018", edgecolor=GREY, linewidth=0.8))
    ax.scatter(across[seen], xyz[seen, 2], s=20, c=colours[seen], linewidths=0.3, edgecolors=FAINT)
    ax.set_title(name)


def _plane(ax: Axes, trace: Trace, now: int, ends: Ends, temperature: float) -> None:
    curve = [ends[t] for t in sorted(ends)]
    ax.plot(*zip(*curve, strict=True), color=GREY, alpha=0.7, marker="o", markersize=4, linewidth=1)
    for t in (min(ends), *(t for t in sorted(ends) if t >= 0.5)):  # those between end on a heap
        ax.annotate(f"{t:.2g}", ends[t], (-6, 3), textcoords="offset points", ha="right", fontsize=7.5)
    ax.plot(*zip(*trace, strict=True), color=BAD, linewidth=0.8, alpha=0.45)
    ax.plot(*zip(*trace[: now + 1], strict=True), color=BAD)
    ax.plot(*trace[now], "o", color=BAD, markersize=7)
    ax.set(xlabel="uniformity (← spread evenly)", ylabel="tolerance (classes together →)")
    ax.set_title(f"temperature {temperature:.2g} (red)\nwhere others end (grey)")
