"""Recordings as rasters, and the neighbours of a moment on a map of all."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from sslwork.plots.style import BAD, FAINT, GREY, LOOK, PALETTE, Figure, bare, figure


@LOOK
def rasters(spikes: Tensor, titles: Sequence[str]) -> Figure:
    """Spike counts of some trials (trials, bins, neurons) side by side: a row is a neuron, a column a bin."""
    if spikes.ndim != 3 or len(spikes) != len(titles):
        raise ValueError(
            f"spikes must be (trials, bins, neurons), one title each: got {tuple(spikes.shape)}, {len(titles)} titles"
        )
    fig = figure(840, 220)
    axes = fig.subplots(1, len(spikes), sharey=True, squeeze=False)[0]
    fig.subplots_adjust(left=0.065, right=0.99, bottom=0.17, top=0.88, wspace=0.06)
    for ax, trial, title in zip(axes, spikes.numpy(), titles, strict=True):
        ax.imshow(
            trial.T,
            aspect="auto",
            cmap="magma",
            vmin=0,
            vmax=float(spikes.quantile(0.995)),
            interpolation="nearest",
        )
        ax.set(title=title, xlabel="bin")
    axes[0].set_ylabel("neuron")
    return fig


@LOOK
def mined(
    xy: Tensor,
    direction: Tensor,
    query: int,
    near: Tensor,
    rates: Mapping[int, float],
    step: int,
    chance: float,
) -> Figure:
    """Left all moments on a map, a query tied to its neighbours; right the share of neighbours of its kind over steps.

    Args:
        xy: (N, 2) places on the map.
        direction: (N,) which of the kinds each is, 0..7.
        query: row of the one that looks for neighbours.
        near: (k,) rows which it finds.
        rates: step -> share of same-kind neighbours, over all queries.
        step: the one shown, a key of `rates`.
        chance: the share that a choice at random gives.
    """
    fig = figure(840, 340)
    ax = bare(fig.add_axes((0.01, 0.02, 0.53, 0.88)))
    points, colours = xy.numpy(), np.array(PALETTE)[direction.numpy() % len(PALETTE)]
    ax.scatter(points[:, 0], points[:, 1], s=13, c=colours, linewidths=0.3, edgecolors=FAINT, alpha=0.6)
    for row in near.tolist():
        ax.plot(*points[[query, row]].T, color=GREY, linewidth=1.4)
        ax.scatter(points[row, 0], points[row, 1], s=46, zorder=3, c=[colours[row]], edgecolors=GREY)
        ax.annotate(str(int(direction[row])), points[row], (5, 4), textcoords="offset points", fontsize=8.5)
    ax.scatter(
        points[query, 0], points[query, 1], s=160, marker="*", zorder=4, c=[colours[query]], edgecolors=BAD
    )
    for kind in direction.unique().tolist():
        ax.scatter([], [], s=16, c=PALETTE[kind % len(PALETTE)], label=str(kind))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), handletextpad=0.1, borderaxespad=0)
    ax.set_title(f"step {step}: moments by direction; the star looks for neighbours", loc="left")
    right = fig.add_axes((0.655, 0.15, 0.335, 0.75))
    right.plot(list(rates), list(rates.values()), color=PALETTE[4], marker="o", markersize=4)
    right.plot(step, rates[step], "o", color=BAD, markersize=8)
    right.axhline(chance, color=GREY, linewidth=1, linestyle=":")
    right.annotate(
        "chance",
        (1, chance),
        (-2, 2),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
    )
    right.set(xlabel="step", ylim=(0, 1), title="share of neighbours with the same direction")
    return fig
