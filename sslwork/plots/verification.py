"""Proofs in pictures: cells of a region, radii around points, and a region's image behind each layer."""

from collections.abc import Callable, Mapping

import torch
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle
from torch import Tensor

from sslwork.plots.style import BAD, GOOD, GREY, LOOK, PALETTE, WARN, Figure, figure
from sslwork.verification import SAFE, UNKNOWN, UNSAFE, Verdict

_STATES = {SAFE: GOOD, UNKNOWN: WARN, UNSAFE: BAD}
Net = Callable[[Tensor], Tensor]


@LOOK
def cells(net: Net, rows: Tensor, labels: Tensor, x: Tensor, found: Verdict) -> Figure:
    """The plane with its cells: green proved, amber open, red of another class.

    Args:
        net: (N, 2) -> logits.
        rows, labels: (N, 2) and (N,), data to show.
        x: the point (2,) in the middle of the region.
        found: what `verification.prove` says.
    """
    fig = figure(840, 400)
    ax = fig.add_axes((0.05, 0.08, 0.93, 0.84))
    _plane(ax, net, rows, labels)
    for state, (lo, hi) in found.cells.items():
        boxes = [Rectangle(a.tolist(), *(b - a).tolist()) for a, b in zip(lo, hi, strict=True)]
        ax.add_collection(
            PatchCollection(boxes, facecolor=_STATES[state] + "90", edgecolor=_STATES[state], linewidth=0.6)
        )
    ax.plot(*x.tolist(), "o", color=GREY, markersize=6, markeredgecolor="white")
    if found.point is not None:
        ax.plot(*found.point.tolist(), "X", color=BAD, markersize=9, markeredgecolor="white")
    ax.set_title(f"{found.outcome}; cells looked at: {found.looked}")
    return fig


@LOOK
def radii(
    net: Net, rows: Tensor, labels: Tensor, centres: Tensor, of: Mapping[str, Tensor], *, squares: int = 12
) -> Figure:
    """Squares of each radius around some points; beside them every radius against the exact one.

    Args:
        centres: (M, 2); the first `squares` are drawn.
        of: name -> (M,): three radii, from the certified one to that of an attack; the second is the exact one.
    """
    if len(of) != 3:
        raise ValueError(f"three radii are wanted: certified, exact, found; got {', '.join(of) or 'none'}")
    fig = figure(840, 330)
    left, right = fig.add_axes((0.04, 0.09, 0.52, 0.82)), fig.add_axes((0.66, 0.14, 0.32, 0.77))
    _plane(left, net, rows, labels)
    colours = (GOOD, GREY, BAD)
    exact = list(of.values())[1]
    for (name, values), colour in zip(of.items(), colours, strict=True):
        boxes = [
            Rectangle((c - r).tolist(), 2 * float(r), 2 * float(r))
            for c, r in zip(centres[:squares], values, strict=False)
            if torch.isfinite(r)
        ]
        left.add_collection(PatchCollection(boxes, facecolor="none", edgecolor=colour, linewidth=1.3))
        right.plot(exact, values, "o", color=colour, markersize=4, label=name)
    left.plot(*centres[:squares].T, "o", color=GREY, markersize=3)
    right.set(xlabel="exact radius", ylabel="radius")
    right.legend(loc="upper left")
    return fig


@LOOK
def hull(images: Mapping[str, tuple[Tensor, Tensor, Tensor]]) -> Figure:
    """What each layer makes of a region: true image points, and the box of interval bounds around them.

    Args:
        images: layer -> points (N, D), lo (D,), hi (D,); the two dimensions with the widest boxes are drawn.
    """
    fig = figure(840, 250)
    axes = fig.subplots(1, len(images), squeeze=False)[0]
    fig.subplots_adjust(left=0.075, right=0.99, bottom=0.18, top=0.88, wspace=0.36)
    for ax, (name, (points, lo, hi)) in zip(axes, images.items(), strict=True):
        a, b = (hi - lo).topk(2).indices.sort().values.tolist()
        ax.plot(points[:, a], points[:, b], ".", color=PALETTE[1], markersize=2.5)
        box = Rectangle((float(lo[a]), float(lo[b])), float(hi[a] - lo[a]), float(hi[b] - lo[b]))
        ax.add_collection(PatchCollection([box], facecolor="none", edgecolor=WARN, linewidth=1.6))
        ax.autoscale_view()
        ax.margins(0.08)
        ax.set(title=name, xlabel=f"unit {a + 1}", ylabel=f"unit {b + 1}")
    return fig


def _plane(ax: Axes, net: Net, rows: Tensor, labels: Tensor) -> None:
    """The plane by the class that the net names, and the data."""
    (x0, y0), (x1, y1) = rows.amin(0) - 0.4, rows.amax(0) + 0.4
    across, up = (torch.linspace(float(a), float(b), 160, dtype=rows.dtype) for a, b in ((x0, x1), (y0, y1)))
    with torch.no_grad():
        named = net(torch.cartesian_prod(across, up)).argmax(1).reshape(160, 160).T
    colours = [PALETTE[4], PALETTE[0], PALETTE[6]]
    ax.contourf(across, up, named, levels=[-0.5, 0.5, 1.5, 2.5], colors=[each + "38" for each in colours])
    for label in labels.unique().tolist():
        ax.plot(*rows[labels == label].T, ".", color=colours[label % 3], markersize=3, alpha=0.6)
    ax.set(xlim=(float(x0), float(x1)), ylim=(float(y0), float(y1)), aspect="equal")
