"""A picture among its changed copies, and a threshold between clean and attacked pictures."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from sslwork.plots.sheets import mosaic
from sslwork.plots.style import BAD, GREY, LOOK, PALETTE, Figure, bare, figure

_NATURAL, _SUSPECT = PALETTE[4], BAD


@LOOK
def neighbourhood(
    pictures: Sequence[Tensor],
    similar: Sequence[Tensor],
    agree: Sequence[Tensor],
    scores: Sequence[Tensor],
    least: float,
    *,
    names: Sequence[str] = ("clean", "attacked"),
    sets: Sequence[Tensor] = (),
) -> Figure:
    """Two pictures with the relations to their copies, sorted; the scores of two sets; and what a threshold lets pass.

    Args:
        pictures: two stacks (1 + copies, C, H, W) in [0, 1], the picture itself first.
        similar, agree: for each of the two, s_j and q_j (k,).
        scores: of two sets, (N,) each; below `least` is rejected.
        names: of the two.
        sets: the pictures behind the scores, (N, C, H, W) each: the first ones rejected are shown.

    Raises:
        ValueError: anything but two of each, empty scores.
    """
    if not all(len(each) == 2 for each in (pictures, similar, agree, scores)):
        raise ValueError("give two of each: of the picture as it was, and of the picture as it comes in")
    if not all(len(each) for each in scores):
        raise ValueError("scores of one side are empty: no attack succeeded; raise eps")
    fig = figure(860, 400)
    for i, (stack, colour) in enumerate(zip(pictures, (_NATURAL, _SUSPECT), strict=True)):
        ax = bare(fig.add_axes((0.01, 0.75 - 0.24 * i, 0.46, 0.17)))
        ax.imshow(mosaic(stack, len(stack)), interpolation="nearest", aspect="auto")
        ax.set_title(f"{names[i]}: the picture, and copies of it", loc="left", color=colour)
    for i, (title, rows) in enumerate({"similarity $s_j$": similar, "agreement $q_j$": agree}.items()):
        ax = fig.add_axes((0.05 + 0.23 * i, 0.11, 0.19, 0.30))
        for row, colour, shift in zip(rows, (_NATURAL, _SUSPECT), (-0.2, 0.2), strict=True):
            values = row.sort(descending=True).values.numpy()
            ax.bar(np.arange(1, len(values) + 1) + shift, values, 0.4, color=colour)
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.set(ylim=(-1.02, 1.02), title=title, xlabel="copy, sorted")
        if i:
            ax.set_yticklabels([])
    ax = fig.add_axes((0.56, 0.58, 0.42, 0.33))
    low = min(float(each.min()) for each in scores) - 0.02
    edges = np.linspace(low, max(float(each.max()) for each in scores) + 0.02, 31)
    for row, name, colour in zip(scores, names, (_NATURAL, _SUSPECT), strict=True):
        heights = 100 * np.histogram(row.numpy(), edges)[0] / len(row)
        ax.stairs(heights, edges, fill=True, color=colour, alpha=0.45, label=name)
    ax.axvline(least, color=GREY, linestyle="--", linewidth=1)
    ax.set(xlabel="score S (left of the line: rejected)", ylabel="% of its set")
    ax.legend(loc="upper left")
    for i, (images, row) in enumerate(zip(sets, scores, strict=False)):
        out = images[row < least][:10]
        ax = bare(fig.add_axes((0.56, 0.22 - 0.21 * i, 0.42, 0.13)))
        ax.set_title(
            f"rejected of {names[i]}: {int((row < least).sum())} of {len(row)}", loc="left", color=_NATURAL if i == 0 else _SUSPECT,
        )  # fmt: skip
        if len(out):
            ax.imshow(mosaic(out, 10), interpolation="nearest", aspect="equal")
        ax.set_anchor("W")
    return fig
