"""Classifiers under attack: how many pictures they lose on each rung of a ladder, and as the ball grows."""

from collections.abc import Sequence

import numpy as np

from sslwork.attacks import wilson
from sslwork.plots.arms import Measured
from sslwork.plots.style import BAD, FAINT, GREY, LINES, LOOK, Figure, figure


@LOOK
def rungs(study: Measured, *, stages: str, ladder: str, eps: str, curve: str, n: int, mark: float) -> Figure:
    """Accuracy after each attack, and over the radius of the ball: seeds thin, their mean thick.

    Args:
        study: see `studies.Study`.
        stages, ladder: measures: the names of the attacks, and the accuracy in % after each.
        eps, curve: measures: radii, and the accuracy in % at each.
        n: pictures of a seed; the bars are the Wilson intervals (95 %) of that many.
        mark: the radius of the ladder, a line in the second panel.

    Raises:
        ValueError: no pictures.
    """
    if n < 1:
        raise ValueError(f"n must be 1 picture or more, got {n}")
    fig = figure(840, 300)
    left, right = fig.add_axes((0.065, 0.2, 0.45, 0.67)), fig.add_axes((0.58, 0.2, 0.41, 0.67))
    for i, (arm, colour) in enumerate(zip(study.arms, LINES * len(study.arms), strict=False)):
        for ax, x, y in ((left, stages, ladder), (right, eps, curve)):
            seeds = np.array(study.values(arm, y))  # (seeds, places)
            places = np.arange(seeds.shape[1]) if ax is left else np.array(study.values(arm, x)[0])
            shift = 0.08 * (i - 1) if ax is left else 0
            ax.plot(places, seeds.T, color=colour, linewidth=0.8, alpha=0.45)
            ax.plot(places, seeds.mean(0), color=colour, linewidth=2.2, label=arm)
            if ax is left:
                ax.errorbar(
                    places + shift,
                    seeds.mean(0),
                    _bars(seeds.mean(0), n),
                    fmt="none",
                    ecolor=colour,
                    elinewidth=1,
                )
    names = study.values(study.arms[0], stages)[0]
    left.set_xticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names], fontsize=7.5)
    left.set(title="named right so far, %")
    right.axvline(mark, color=FAINT)
    right.set(title="named right after PGD-20, %", xlabel="eps")
    for ax in (left, right):
        ax.set_ylim(-3, 103)
        ax.grid(axis="y", color=FAINT, linewidth=0.5)
    fig.legend(*left.get_legend_handles_labels(), loc="upper left", ncols=4, bbox_to_anchor=(0.04, 1.01))
    return fig


def _bars(means: np.ndarray, n: int) -> np.ndarray:
    """How far the interval reaches below and above, (2, places)."""
    ends = np.array([wilson(round(n * mean / 100), n) for mean in means]).T * 100
    return np.abs(ends - means)


@LOOK
def answers(
    images: np.ndarray, rows: Sequence[str], named: Sequence[Sequence[str]], wrong: Sequence[Sequence[bool]]
) -> Figure:
    """Rows of pictures (R, M, H, W) with what a classifier calls each of them below; wrong answers in red."""
    count, across = images.shape[:2]
    fig = figure(128 + 72 * across, 96 * count)
    for i in range(count):
        fig.text(0.005, 1 - (i + 0.45) / count, rows[i], va="center")
        for j in range(across):
            left = (128 + 72 * j) / (128 + 72 * across)
            ax = fig.add_axes((left, 1 - (i + 0.82) / count, 66 / (128 + 72 * across), 0.8 / count))
            ax.imshow(images[i, j], cmap="gray", vmin=0, vmax=1)
            ax.set_axis_off()
            ax.set_title(named[i][j], y=-0.26, fontsize=8, color=BAD if wrong[i][j] else GREY)
    return fig
