"""The odd-even network at work: which wires cross, where each input may end, and what the loss wants of it."""

import math

import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor

from sslwork.losses import sort_relaxed
from sslwork.plots.style import BAD, FAINT, GOOD, GREY, LOOK, Figure, figure

_GROUPS = LinearSegmentedColormap.from_list("groups", [BAD, GREY, GOOD])


@LOOK
def sorting_network(x: Tensor, top_k: int, *, steepness: float, slopes: Tensor) -> Figure:
    """Wires from left to right, swapped in part; where each input ends; the slope of the loss in each input.

    A comparator keeps its two wires with opacity p and swaps them with opacity 1 - p. Colour tells how much of a wire
    comes from the positives.

    Args:
        x: (n,) similarities, the negatives first; within each group ascending.
        top_k: how many are negatives, 1 to n - 1.
        steepness: of the comparators.
        slopes: (n,) dL / dx.
    """
    n = len(x)
    if not 1 <= top_k < n:
        raise ValueError(f"top_k must be 1 to {n - 1} of {n} inputs, got {top_k}")
    if slopes.shape != x.shape:
        raise ValueError(f"slopes must have the shape of x, {tuple(x.shape)}, got {tuple(slopes.shape)}")
    fig = figure(840, 330)
    network, heat, bars = fig.subplots(1, 3, width_ratios=(2.1, 1, 0.8))
    fig.subplots_adjust(left=0.115, right=0.985, bottom=0.14, top=0.91, wspace=0.16)
    _wires(network, x, top_k, steepness)
    groups = ["negative"] * top_k + ["positive"] * (n - top_k)
    network.set_yticks(range(n), [f"{group} {value:.2f}" for group, value in zip(groups, x, strict=True)])
    p = sort_relaxed(x, steepness=steepness)[1]
    heat.imshow(p.numpy(), origin="lower", cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for i, r in zip(*torch.where(p > 0.095), strict=True):
        heat.text(float(r), float(i), f"{p[i, r]:.1f}", ha="center", va="center", fontsize=7,
                  color="white" if p[i, r] < 0.6 else "black")  # fmt: skip
    heat.axvline(top_k - 0.5, color=BAD)
    heat.axhline(top_k - 0.5, color=BAD)
    heat.set(
        title="P: where each input ends", xlabel="rank", xticks=range(n), yticks=[], ylim=(-0.5, n - 0.5)
    )
    bars.barh(range(n), -slopes.numpy(), color=[BAD] * top_k + [GOOD] * (n - top_k))
    bars.axvline(0, color=GREY, linewidth=0.8)
    bars.set(title="minus the slope", xlabel="lowered, raised", yticks=[], ylim=(-0.5, n - 0.5))
    return fig


def passes(x: Tensor, carried: Tensor, *, steepness: float) -> list[tuple[Tensor, Tensor, Tensor]]:
    """What the wires carry before each layer and after the last, with the comparators that follow: lower wire, p.

    Args:
        x: (n,) numbers that the network sorts.
        carried: (n,) what goes along: x itself; a row of the identity, to see where that input goes.
        steepness: of the comparators.
    """
    layers, n = [], len(x)
    for layer in range(n):
        lower = torch.arange(layer % 2, n - 1, 2)
        p = 0.5 + torch.arctan(steepness * (x[lower + 1] - x[lower])) / math.pi
        layers.append((carried, lower, p))
        x, carried = _mixed(x, lower, p), _mixed(carried, lower, p)
    return [*layers, (carried, x.new_empty(0).long(), x.new_empty(0))]


def _mixed(wires: Tensor, lower: Tensor, p: Tensor) -> Tensor:
    a, b = wires[lower], wires[lower + 1]
    return wires.index_copy(0, lower, p * a + (1 - p) * b).index_copy(0, lower + 1, (1 - p) * a + p * b)


def _wires(ax: Axes, x: Tensor, top_k: int, steepness: float) -> None:
    n = len(x)
    positive = (torch.arange(n) >= top_k).to(x)  # the share of each wire that comes from the positives
    segments, colours = [], []
    for place, (share, lower, p) in enumerate(passes(x, positive, steepness=steepness)[:-1]):
        keep = torch.ones(n).to(x).index_copy(0, lower, p).index_copy(0, lower + 1, p)
        partner = torch.arange(n).index_copy(0, lower, lower + 1).index_copy(0, lower + 1, lower)
        for i in range(n):
            ends = [(i, keep[i])] + [(int(partner[i]), 1 - keep[i])] * bool(partner[i] != i)
            for j, opacity in ends:
                segments.append([(place, i), (place + 0.8, j), (place + 1, j)])
                colours.append((*_GROUPS(float(share[i]))[:3], float(opacity)))
    ax.add_collection(LineCollection(segments, colors=colours, linewidths=2))
    ax.axhline(top_k - 0.5, color=FAINT, linestyle="--", linewidth=1)
    ax.set(title="the network; dashed: the border of the groups", xlabel="layer",
           xlim=(0, n), ylim=(-0.5, n - 0.5), xticks=range(n + 1))  # fmt: skip
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
