"""The cross-correlation of two views on its way to the identity, and what Barlow Twins pays for the rest."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator
from torch import Tensor

from sslwork.losses import columns
from sslwork.plots.style import GREY, LOOK, PALETTE, Figure, figure

_PLUS, _MINUS = PALETTE[4], PALETTE[5]
# Zero is transparent, so that the identity is a line on a light page and on a dark one.
_SIGNED = LinearSegmentedColormap.from_list(
    "signed", [(0, _MINUS), (0.5, _MINUS + "00"), (0.5, _PLUS + "00"), (1, _PLUS)]
)


@LOOK
def correlation(
    z1: Tensor, z2: Tensor, course: Tensor, now: int, *, floor: float = 0.0, cell: tuple[int, int] = (0, 0)
) -> Figure:
    """C as a map; both parts of the loss over time; one column of view 1 against one of view 2.

    Args:
        z1, z2: embeddings (N, D) of two views.
        course: (steps + 1, 2), what the diagonal and all other entries cost, of which step `now` is shown.
        floor: the loss cannot fall below it; 0 draws none.
        cell: (i, j), the columns of view 1 and of view 2 that are scattered.
    """
    fig = figure(840, 290)
    a, b = (columns.standardise(z, unbiased=False) for z in (z1, z2))
    c = columns.mean_product(a, b)
    _map(fig, c.numpy(), cell)
    _course(fig.add_axes((0.415, 0.17, 0.275, 0.68)), course.numpy(), now, floor)
    _scatter(fig.add_axes((0.765, 0.17, 0.225, 0.68)), a[:, cell[0]], b[:, cell[1]], float(c[cell]), cell)
    return fig


def _map(fig: Figure, c: np.ndarray, cell: tuple[int, int]) -> None:
    ax = fig.add_axes((0.06, 0.17, 0.235, 0.68))
    seen = ax.imshow(c, cmap=_SIGNED, vmin=-1, vmax=1, interpolation="nearest")
    i, j = cell
    ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=GREY, linewidth=1.5))
    ax.spines[:].set_visible(True)
    ax.locator_params(integer=True, nbins=5)
    ax.set(xlabel="column j of view 2", ylabel="column i of view 1")
    ax.set_title("correlation of columns, C")
    bar = fig.colorbar(seen, cax=fig.add_axes((0.305, 0.17, 0.012, 0.68)), ticks=[-1, 0, 1])
    bar.outline.set_edgecolor(GREY)


def _course(ax: Axes, course: np.ndarray, now: int, floor: float) -> None:
    ax.set(yscale="log", xlabel="time (gradient steps)", title="what C costs")
    least = 1e-3  # of no interest below
    ax.plot(course.sum(1).clip(least), color=GREY, linewidth=1, label="loss")
    names = ("diagonal", "the rest × λ")
    for part, name, colour in zip(course.clip(least).T, names, (_PLUS, _MINUS), strict=True):
        ax.plot(part, color=colour, alpha=0.45, linewidth=1)
        ax.plot(part[: now + 1], color=colour, label=name)
        ax.plot(now, part[now], "o", color=colour, markersize=5)
    if floor:
        ax.axhline(floor, color=GREY, linestyle="--", linewidth=1, label=f"floor of the loss, {floor:.3g}")
    ax.set_ylim(bottom=0.8 * least)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.legend(loc="lower left", fontsize=7.5, handlelength=1.2, labelspacing=0.2)


def _scatter(ax: Axes, x: Tensor, y: Tensor, c: float, cell: tuple[int, int]) -> None:
    ax.scatter(x.numpy(), y.numpy(), s=14, color=_PLUS if c > 0 else _MINUS, alpha=0.7, linewidths=0)
    ax.plot([-3.5, 3.5], [-3.5 * c, 3.5 * c], color=GREY, linewidth=1)
    ax.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), title=f"C[{cell[0]}, {cell[1]}] = {c:.2f}")
    ax.set(xlabel=f"column {cell[0]} of view 1", ylabel=f"column {cell[1]} of view 2")
