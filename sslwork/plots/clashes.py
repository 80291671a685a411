"""False negatives: batches with the pictures that clash, rates against their bound, and an epoch in the guided order."""

import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from sslwork import checks
from sslwork.measures.false_negatives import expected_rate, false_negative_bound
from sslwork.plots.sheets import to_pixels
from sslwork.plots.style import BAD, GOOD, GREY, LOOK, PALETTE, Figure, bare, figure

_SIZES = torch.arange(2, 257)  # batch sizes on the axis


@LOOK
def batches(images: Tensor, labels: Tensor) -> Figure:
    """One batch per row; framed are pictures that share their class with another of the batch.

    Args:
        images: (batches, B, C, H, W).
        labels: (batches, B) true classes.
    """
    if images.ndim != 5 or images.shape[:2] != labels.shape:
        raise ValueError(
            f"images must have shape (batches, B, C, H, W) and labels (batches, B), got {tuple(images.shape)} "
            f"and {tuple(labels.shape)}"
        )
    rows, size = labels.shape
    side = min(48, 820 // size)
    fig = figure(side * size, (side + 4) * rows)
    ax = bare(fig.add_axes((0, 0, 1, 1)))
    for row in range(rows):
        clash = checks.labels(labels[row], size).bincount()[labels[row]] > 1
        for i, pixels in enumerate(to_pixels(images[row])):
            x, y = i * side + 2, row * (side + 4) + 2
            ax.imshow(pixels, extent=(x, x + side - 4, y + side - 4, y), interpolation="nearest")
            if clash[i]:
                ax.add_patch(Rectangle((x, y), side - 4, side - 4, fill=False, edgecolor=BAD, linewidth=2.5))
    ax.set(xlim=(0, side * size), ylim=((side + 4) * rows, 0))
    return fig


@LOOK
def rates(batch_size: int, classes: int, purity: float) -> Figure:
    """False negatives against the batch size: random batches, one picture per cluster, and the bound.

    Args:
        batch_size: the size to mark; as many clusters.
        classes: balanced.
        purity: of the clusters, 0..1, see `expected_rate`.
    """
    fig = figure(700, 270)
    ax = fig.add_axes((0.09, 0.17, 0.89, 0.71))
    for p, colour, name in (
        (0.0, GREY, "random"),
        (purity, PALETTE[4], f"clusters of purity {purity:.2f}"),
        (1.0, GOOD, "bound"),
    ):
        ax.plot(_SIZES, [100 * expected_rate(int(b), classes, p) for b in _SIZES], color=colour, label=name)
        ax.plot(batch_size, 100 * expected_rate(batch_size, classes, p), "o", color=colour)
    ax.axvline(classes, color=GREY, linewidth=0.8, linestyle=":")
    left = classes > 64  # else the words run out of the picture
    ax.annotate(
        f"{classes} classes",
        (classes, 0.5),
        (-4 if left else 4, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if left else "left",
    )
    ax.set(xscale="log", xlabel="batch size", ylabel="false negatives, % of pairs", ylim=(0, 115 / classes))
    ax.xaxis.set_major_formatter("{x:g}")
    fig.legend(*ax.get_legend_handles_labels(), loc="upper left", ncols=3, bbox_to_anchor=(0.08, 1.01))
    return fig


@LOOK
def epoch(clusters: Tensor, order: Tensor, labels: Tensor) -> Figure:
    """Pairs of one cluster and pairs of one class in each batch of an epoch, in % of the pairs.

    Args:
        clusters, labels: (N,) of each picture.
        order: (batches, B) rows.
    """
    fig = figure(840, 220)
    ax = fig.add_axes((0.075, 0.2, 0.915, 0.74))
    pairs = order.shape[1] * (order.shape[1] - 1)
    for kinds, colour, name in (
        (clusters, PALETTE[4], "of one cluster"),
        (labels, PALETTE[0], "of one class: false negatives"),
    ):
        same = [int(kinds[rows].bincount().square().sum()) - order.shape[1] for rows in order]
        ax.plot(
            [100 * count / pairs for count in same],
            color=colour,
            linewidth=1,
            marker="o",
            markersize=2.5,
            label=name,
        )
    bound = 100 * false_negative_bound(order.shape[1], len(labels.unique()))
    ax.axhline(bound, color=GOOD, linewidth=1, label="bound")
    ax.set(xlabel="batch of the epoch", ylabel="% of pairs")
    ax.legend()
    return fig
