"""Rows of pictures before and after a network forgot some of them, and who names what."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sslwork import checks
from sslwork.plots.style import BAD, FAINT, GREY, LOOK, PALETTE, Figure, figure


@LOOK
def forgetting(
    before: Tensor, after: Tensor, gone: Tensor, bars: Mapping[str, Mapping[str, float]]
) -> Figure:
    """Left: an arrow per picture, from its row before to that after; right: accuracies as bars.

    Args:
        before, after: rows (N, D), shown in the plane of the two widest directions of `before`.
        gone: (N,) bool, which were to be forgotten: red.
        bars: network -> what was asked -> %.

    Raises:
        ValueError: rows of two shapes, or not one mark per row.
    """
    checks.pair(before, after, ("before", "after"), rows=3)
    if gone.shape != (len(before),):
        raise ValueError(f"gone must hold one mark per row, {len(before)}; got shape {tuple(gone.shape)}")
    mean = before.mean(0)
    plane = torch.linalg.svd(before - mean, full_matrices=False).Vh[:2].T  # (D, 2)
    start, end = ((rows - mean) @ plane for rows in (before, after))
    fig = figure(840, 340)
    left, right = fig.add_axes((0.01, 0.03, 0.5, 0.9)), fig.add_axes((0.66, 0.14, 0.33, 0.78))
    for mark, colour, width in ((~gone, GREY, 0.6), (gone, BAD, 1.0)):
        a, b = start[mark].numpy(), end[mark].numpy()
        left.plot([a[:, 0], b[:, 0]], [a[:, 1], b[:, 1]], color=colour, linewidth=width, alpha=0.45)
        left.plot(b[:, 0], b[:, 1], ".", color=colour, markersize=3.5)
    left.set(xticks=[], yticks=[], title="rows: from before (line) to after (dot); red is to be forgotten")
    for spine in left.spines.values():
        spine.set_visible(False)
    asked = list(next(iter(bars.values())))
    for i, question in enumerate(asked):
        values = [bar[question] for bar in bars.values()]
        places = [j + (i - (len(asked) - 1) / 2) * 0.36 for j in range(len(bars))]
        right.barh(places, values, 0.34, color=(BAD, PALETTE[4])[i % 2], label=question)
        for place, value in zip(places, values, strict=True):
            right.text(value + 1, place, f"{value:.0f}", va="center", fontsize=7.5, color=GREY)
    right.set(xlim=(0, 112), xlabel="accuracy, %")
    right.set_yticks(range(len(bars)), list(bars))
    right.invert_yaxis()
    right.grid(axis="x", color=FAINT, linewidth=0.6)
    right.set_axisbelow(True)
    right.legend(loc="upper center", bbox_to_anchor=(0.35, 1.1), ncols=2, fontsize=7.5)
    return fig
