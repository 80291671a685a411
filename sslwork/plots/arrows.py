"""A scene on the circle, and the force of a loss on each of its points."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor

from sslwork.plots.style import BAD, FAINT, GOOD, GREY, LOOK, PALETTE, Figure, bare, figure


class Scene(NamedTuple):
    """Points on the unit circle, or the forces on them: one anchor (1, 2), positives (P, 2), negatives (M, 2)."""

    anchor: Tensor
    positives: Tensor
    negatives: Tensor


_COLOURS = Scene(PALETTE[4], GOOD, BAD)  # type: ignore[arg-type]
_LONGEST = 0.75  # radii of the circle


@LOOK
def arrows(scene: Scene, forces: Mapping[str, Scene], *, one_scale: bool = False) -> Figure:
    """One circle per loss, with an arrow on each point along the circle: where gradient descent moves it.

    Args:
        scene: where the points are.
        forces: by name of the loss.
        one_scale: arrows of all losses are to one scale; otherwise the longest of each has one length.
    """
    largest = {name: max(float(part.norm(dim=1).max()) for part in force) for name, force in forces.items()}
    columns = math.ceil(len(forces) / math.ceil(len(forces) / 4))  # at most four beside one another
    rows = math.ceil(len(forces) / columns)
    side = min(840 // columns, 400 // rows)
    fig = figure(840, rows * side)
    for i, (name, force) in enumerate(forces.items()):
        left, bottom = (840 - columns * side) / 2 + (i % columns) * side, (rows - 1 - i // columns) * side
        ax = fig.add_axes((left / 840, bottom / (rows * side), side / 840, 0.88 / rows))
        scale = max(largest.values()) if one_scale else largest[name]
        _circle(ax, scene, force, scale)
        ax.set_title(f"{name}: longest {largest[name]:.2g}", pad=2)
    return fig


def _circle(ax: Axes, scene: Scene, force: Scene, scale: float) -> None:
    bare(ax).set(xlim=(-1.32, 1.32), ylim=(-1.32, 1.32), aspect="equal")
    ax.add_patch(Circle((0, 0), 1, facecolor="none", edgecolor=FAINT, linewidth=0.8))
    for points, push, colour, size in zip(scene, force, _COLOURS, (55, 30, 22), strict=True):
        xy, uv = points.numpy(), push.numpy() * _LONGEST / max(scale, 1e-12)
        ax.scatter(xy[:, 0], xy[:, 1], s=size, color=colour, edgecolors=GREY, linewidths=0.5, zorder=2)
        moved = np.linalg.norm(uv, axis=1) > 0.01
        if moved.any():
            ax.quiver(*xy[moved].T, *uv[moved].T, color=colour, angles="xy", scale_units="xy", scale=1,
                      width=0.012, headwidth=4, headlength=4, headaxislength=3.5, zorder=3)  # fmt: skip
