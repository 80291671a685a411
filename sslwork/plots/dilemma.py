"""What the temperature trades: evenness against classes, for points on a sphere and for trained encoders."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor

from sslwork.measures.dilemma import Dilemma
from sslwork.plots.style import BAD, FAINT, GOOD, GREY, LOOK, PALETTE, Figure, bare, figure

_SAME, _DIFFERENT = GOOD, PALETTE[4]
_ROUND = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)


@LOOK
def sphere(
    points: Tensor,
    labels: Tensor,
    trace: Sequence[Dilemma],
    now: int,
    ends: Mapping[float, Dilemma],
    temperature: float,
) -> Figure:
    """Two hemispheres of coloured points; beside them, uniformity against tolerance.

    Args:
        points: (N, 3) on the unit sphere, with their clusters `labels` (N,).
        trace: measured at equal times, of which number `now` is shown.
        ends: where the points end, for each temperature.
        temperature: of this trace.
    """
    fig = figure(840, 315)
    xyz, colours = points.numpy(), np.array(PALETTE)[labels.numpy() % len(PALETTE)]
    for i, (name, front) in enumerate((("front", True), ("back, from behind", False))):
        _hemisphere(fig.add_axes((0.005 + 0.31 * i, 0.02, 0.30, 0.86)), xyz, colours, front, name)
    ax = fig.add_axes((0.695, 0.15, 0.295, 0.70))
    _plane(ax, ends)
    path = [each[:2] for each in trace]
    ax.plot(*zip(*path, strict=True), color=BAD, linewidth=0.8, alpha=0.45)
    ax.plot(*zip(*path[: now + 1], strict=True), color=BAD)
    ax.plot(*path[now], "o", color=BAD, markersize=7)
    ax.set_title(f"temperature {temperature:.2g} (red)\nwhere others end (grey)")
    return fig


@LOOK
def traced(
    ends: Mapping[float, Dilemma], visited: Collection[float], temperature: float, *, about: str
) -> Figure:
    """Uniformity against tolerance, and each of them and the similarity between classes against the temperature.

    Args:
        ends: what was measured, by temperature.
        visited: temperatures whose part of the curve is drawn in red.
        temperature: the one looked at, a key of `ends`.
        about: what was measured.
    """
    fig = figure(840, 370)
    ax = fig.add_axes((0.085, 0.12, 0.37, 0.78))
    _plane(ax, ends)
    nowhere = float("nan"), float("nan")  # the line breaks where nobody has been
    seen = [ends[t][:2] if t in visited else nowhere for t in sorted(ends)]
    ax.plot(*zip(*seen, strict=True), color=BAD, marker="o", markersize=4)
    ax.plot(*ends[temperature][:2], "o", color=BAD, markersize=9)
    ax.set_title(f"{about}; red: where you have been", loc="left")
    upper, lower = fig.add_axes((0.555, 0.50, 0.43, 0.40)), fig.add_axes((0.555, 0.12, 0.43, 0.28))
    similarities(upper, ends, temperature)
    upper.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, handlelength=1.2)
    upper.set(ylabel="mean similarity", xticklabels=[])
    against(lower, {t: end.uniformity for t, end in ends.items()}, temperature)
    lower.set(ylabel="uniformity", xlabel="temperature")
    return fig


def similarities(ax: Axes, ends: Mapping[float, Dilemma], temperature: float) -> None:
    """Similarity within a class (tolerance) and between classes; the gap is what a classifier lives on."""
    against(ax, {t: end.tolerance for t, end in ends.items()}, temperature, _SAME, "of one class: tolerance")
    against(ax, {t: end.different for t, end in ends.items()}, temperature, _DIFFERENT, "of two classes")
    keys = sorted(ends)
    ax.fill_between(
        keys, [ends[t].different for t in keys], [ends[t].tolerance for t in keys], color="#80808022"
    )


def against(
    ax: Axes, values: Mapping[float, float], temperature: float, colour: str = GREY, label: str = ""
) -> None:
    """A number over the temperatures, the one of now marked."""
    keys = sorted(values)
    ax.plot(keys, [values[t] for t in keys], color=colour, marker="o", markersize=3, label=label)
    ax.axvline(temperature, color=BAD, linewidth=0.8)
    ax.plot(temperature, values[temperature], "o", color=colour, markersize=8)
    ax.set(xscale="log")
    ax.set_xticks(keys if len(keys) < 6 else [t for t in _ROUND if keys[0] <= t <= keys[-1]])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()


def _hemisphere(ax: Axes, xyz: np.ndarray, colours: np.ndarray, front: bool, name: str) -> None:
    """Seen from the side it is on, so that the back is mirrored, as when one walks around a globe."""
    seen = xyz[:, 1] < 0 if front else xyz[:, 1] >= 0
    across = xyz[:, 0] if front else -xyz[:, 0]
    bare(ax).set(xlim=(-1.04, 1.04), ylim=(-1.04, 1.04), aspect="equal")
    ax.add_patch(Circle((0, 0), 1, facecolor="#80808018", edgecolor=GREY, linewidth=0.8))
    ax.scatter(across[seen], xyz[seen, 2], s=20, c=colours[seen], linewidths=0.3, edgecolors=FAINT)
    ax.set_title(name)


def _plane(ax: Axes, ends: Mapping[float, Dilemma]) -> None:
    """The curve of all temperatures; of many, those between end on a heap and go without their number."""
    keys = sorted(ends)
    curve = [ends[t][:2] for t in keys]
    ax.plot(*zip(*curve, strict=True), color=GREY, alpha=0.7, marker="o", markersize=4, linewidth=1)
    for t in keys if len(keys) < 6 else (keys[0], *(t for t in (0.5, 1.0, 2.0) if t in ends)):
        ax.annotate(f"{t:.2g}", ends[t][:2], (6, 3), textcoords="offset points", fontsize=7.5)
    ax.set(xlabel="uniformity (← spread evenly)", ylabel="tolerance (classes together →)")
