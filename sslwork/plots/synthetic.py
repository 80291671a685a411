"""Synthetic negatives on a circle, and how much of the softmax they take."""

from collections.abc import Mapping

import torch
from matplotlib.patches import Circle
from torch import Tensor

from sslwork import checks
from sslwork.plots.style import BAD, FAINT, GOOD, GREY, LOOK, PALETTE, Figure, bare, figure

COLOURS = (PALETTE[6], PALETTE[0])


@LOOK
def synthetic(
    query: Tensor, key: Tensor, queue: Tensor, made: Mapping[str, Tensor], *, temperature: float, n_hard: int
) -> Figure:
    """Left the circle, right what each point takes of the softmax of the query.

    Args:
        query, key: (1, 2) of length one.
        queue: (K, 2) of length one; the `n_hard` nearest are ringed.
        made: by kind, (S, 2) synthetic negatives.
        temperature: of the softmax.
    """
    checks.positive(temperature, "temperature")
    if queue.shape[1:] != (2,):
        raise ValueError(f"queue must be points of the plane, (K, 2); got {tuple(queue.shape)}")
    kinds = {"its key": key, "queue": queue} | dict(made)
    colours = (GOOD, BAD, *COLOURS)
    similarity = {name: points @ query[0] for name, points in kinds.items()}
    total = torch.cat(list(similarity.values())).div(temperature).logsumexp(0)
    fig = figure(840, 330)
    ax = bare(fig.add_axes((0.0, 0.0, 0.4, 1.0)))
    ax.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
    ax.add_patch(Circle((0, 0), 1, facecolor="none", edgecolor=FAINT, linewidth=0.8))
    hard = queue[similarity["queue"].topk(min(n_hard, len(queue))).indices]
    ax.scatter(hard[:, 0], hard[:, 1], s=110, facecolors="none", edgecolors=GREY, linewidths=1)
    for (name, points), colour, size in zip(kinds.items(), colours, (70, 40, 22, 22), strict=False):
        ax.scatter(points[:, 0], points[:, 1], s=size, color=colour, label=name, alpha=0.9, linewidths=0)
    ax.scatter(query[:, 0], query[:, 1], s=90, marker="*", color=PALETTE[4], label="query", zorder=3)
    ax.legend(loc="center", handlelength=1)
    bars = fig.add_axes((0.47, 0.16, 0.51, 0.74))
    names = list(kinds)
    for place, (name, colour) in enumerate(zip(names, colours, strict=False)):
        shares = 100 * (similarity[name] / temperature - total).exp().sort(descending=True).values
        left = 0.0
        for share in shares.tolist():  # a piece for each point
            bars.barh(place, share, left=left, color=colour, edgecolor="#80808090", linewidth=0.4)
            left += share
        bars.text(left + 1, place, f"{left:.1f} %", va="center")
    bars.set_yticks(range(len(names)), names)
    bars.set(
        xlim=(0, 112),
        xticks=range(0, 101, 20),
        ylim=(len(names) - 0.5, -0.5),
        xlabel="share of the softmax, %",
    )
    bars.set_title(f"temperature {temperature:.2g}; ringed on the left: the {len(hard)} hardest of the queue")
    return fig
