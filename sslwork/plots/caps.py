"""Temperatures against the sizes of classes: on caps, where they can be solved for, and after training."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from sslwork.plots.style import BAD, FAINT, GREY, LOOK, PALETTE, Figure, bare, figure


@LOOK
def solved_caps(
    points: Tensor, labels: Tensor, anchors: Tensor, temperatures: Tensor, similarities: Tensor, chosen: int
) -> Figure:
    """Anchors on the map coloured by temperature; the push of one of them; temperature against the size of the class.

    Args:
        points: (N, D), with their classes `labels` (N,).
        anchors: (A,) rows whose temperatures (A,) are known.
        similarities: (A, N) of the anchors to all points, -inf to themselves.
        chosen: the anchor looked at, a place in `anchors`.
    """
    fig = figure(860, 290)
    plane = bare(fig.add_axes((0.0, 0.02, 0.29, 0.86)))
    x, y = _plane(points).T
    plane.scatter(x, y, s=3, color=FAINT, linewidths=0)
    drawn = plane.scatter(x[anchors], y[anchors], s=16, c=temperatures, cmap="plasma", linewidths=0)
    here = anchors[chosen]
    plane.scatter(x[here], y[here], s=90, facecolors="none", edgecolors=BAD, linewidths=1.5)
    plane.set_title("all points; colour: temperature")
    bar = fig.colorbar(drawn, cax=fig.add_axes((0.295, 0.2, 0.01, 0.5)))
    bar.outline.set_visible(False)
    _push(fig.add_axes((0.395, 0.17, 0.25, 0.71)), similarities[chosen], float(temperatures[chosen]))
    ax = fig.add_axes((0.725, 0.17, 0.265, 0.71))
    sizes = labels.bincount()[labels[anchors]]
    ax.plot(sizes, temperatures, "o", color=PALETTE[4], alpha=0.35, markersize=3.5)
    for size in sizes.unique():
        ax.plot(
            size, temperatures[sizes == size].mean(), "_", color=PALETTE[0], markersize=16, markeredgewidth=2
        )
    ax.plot(sizes[chosen], temperatures[chosen], "o", color=BAD, markersize=6)
    ax.set(title="temperature (stroke: class mean)")
    _log_sizes(ax, "points in the class", sizes.tolist())
    return fig


def _plane(points: Tensor) -> np.ndarray:
    """The two directions along which the points vary most, signs fixed."""
    centred = points - points.mean(0)
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -2:]
    return (centred @ (axes * axes.sum(0).sign())).numpy()


def _push(ax: Axes, similarities: Tensor, temperature: float) -> None:
    """Where the negatives of one anchor are, and where its push goes: both of area one."""
    s = similarities[similarities.isfinite()]
    p = (s / temperature).softmax(0)
    bins = np.linspace(float(s.min()), float(s.max()), 40).tolist()
    for weights, colour, label in ((torch.full_like(p, 1 / len(p)), GREY, "negatives"), (p, BAD, "push p")):
        ax.hist(s.numpy(), bins, weights=weights.numpy(), color=colour, alpha=0.45, label=label)
    ax.set(xlabel="similarity to the anchor", yticks=[])
    divergence = float((len(p) * p).clamp(min=1e-30).log() @ p)
    ax.set_title(f"anchor: temperature {temperature:.2f}, KL {divergence:.2f}")
    ax.legend(loc="upper left")


def _log_sizes(ax: Axes, label: str, sizes: Sequence[float]) -> None:
    ax.set(xscale="log", xlabel=label)
    ax.set_xticks(np.geomspace(min(sizes), max(sizes), 4))
    ax.xaxis.set_major_formatter("{x:.0f}")
    ax.minorticks_off()


@LOOK
def by_size(panels: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]]) -> Figure:
    """Temperature of each class, shown by its number, against the size it has; one colour per seed.

    Args:
        panels: title -> one (sizes, temperatures) per seed, each with an entry per class.
    """
    if not panels:
        raise ValueError("panels is empty: give {title: [(sizes, temperatures), ...]}")
    fig = figure(860, 250)
    axes = fig.subplots(1, len(panels), squeeze=False)[0]
    fig.subplots_adjust(left=0.065, right=0.99, bottom=0.19, top=0.88, wspace=0.18)
    for ax, (title, seeds) in zip(axes, panels.items(), strict=True):
        for i, (sizes, temperatures) in enumerate(seeds):
            colour = PALETTE[(4, 5, 2, 6, 1)[i % 5]]
            ax.plot(sizes, temperatures, "o", color="none")  # sets the limits
            for k, place in enumerate(zip(sizes, temperatures, strict=True)):
                ax.annotate(str(k), place, ha="center", va="center", color=colour)
        ax.set(title=title)
        _log_sizes(ax, "pictures in the class", [size for sizes, _ in seeds for size in sizes])
    axes[0].set_ylabel("mean temperature")
    return fig
