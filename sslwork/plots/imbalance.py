"""Two bells, an adversary, and the cut between them; and what weights trade between frequent and rare classes."""

from collections.abc import Mapping, Sequence

import numpy as np

from sslwork.plots.arms import Measured
from sslwork.plots.style import BAD, FAINT, GREY, LINES, LOOK, PALETTE, Figure, figure
from sslwork.robust.srat import errors


@LOOK
def bells(cut: float, ratio: float, weight: float, *, mean: float, eps: float, std: float) -> Figure:
    """Two classes around -mean and +mean, moved by eps towards each other, and the cut; beside it what weights 1 to 1000 give.

    Args:
        cut: from the midpoint towards the rare class, see `robust.srat.threshold`.
        ratio: frequent samples to one rare one; heights are drawn as shares of all samples, the rare ones times `weight`.
        mean, eps, std: in one unit.
    """
    fig = figure(840, 260)
    ax, plane = fig.add_axes((0.03, 0.18, 0.6, 0.74)), fig.add_axes((0.72, 0.18, 0.27, 0.74))
    x = np.linspace(-4, 6, 600)
    for side, height, colour, name in (
        (-1, ratio, PALETTE[4], "frequent"),
        (1, weight, BAD, f"rare, counted {weight:.3g} times"),
    ):
        own = height / (ratio + weight) / std
        ax.plot(
            x, own * np.exp(-(((x - side * mean) / std) ** 2) / 2), color=colour, linewidth=0.8, linestyle=":"
        )
        moved = own * np.exp(-(((x - side * (mean - eps)) / std) ** 2) / 2)
        ax.plot(x, moved, color=colour, label=f"{name}, attacked")
        wrong = x > cut if side < 0 else x < cut
        ax.fill_between(x, moved, where=wrong, color=colour, alpha=0.35, linewidth=0)
    ax.axvline(float(np.clip(cut, -4, 6)), color=GREY, label="cut" if -4 < cut < 6 else "cut, off the page")
    ax.set(xlim=(-4, 6), yticks=[], xlabel="dotted: as they are; filled: on the wrong side of the cut")
    ax.legend(loc="upper right", bbox_to_anchor=(1.03, 1.06))
    weights = np.geomspace(1, 1000, 60)
    for radius, colour in ((0.0, FAINT), (eps, GREY)):
        spread = std**2 / (2 * (mean - radius))
        right = [
            1 - np.array(errors(spread * np.log(ratio / q), mean=mean, eps=radius, std=std)) for q in weights
        ]
        plane.plot(*100 * np.array(right).T, color=colour, label=f"eps = {radius:.2g}")
    now = 1 - np.array(errors(cut, mean=mean, eps=eps, std=std))
    plane.plot(*100 * now, "o", color=BAD, markersize=7)
    plane.set(xlabel="frequent, % right", ylabel="rare, % right", xlim=(-3, 103), ylim=(-3, 103))
    plane.legend(loc="lower left")
    return fig


@LOOK
def trade(
    study: Measured, lines: Mapping[str, Sequence[str]], across: str, up: str, points: Mapping[str, str]
) -> Figure:
    """Arms in the plane of two measures, those of a line joined in their order.

    Args:
        study: see `studies.Study`.
        lines: name -> arms, e.g. one kind of training under growing weights.
        across, up: measures.
        points: arm -> what is written beside it.

    Raises:
        ValueError: no lines.
    """
    if not lines:
        raise ValueError("lines is empty: name at least one line of arms")
    fig = figure(640, 340)
    ax = fig.add_axes((0.1, 0.14, 0.62, 0.82))
    written: set[str] = set()
    # The last line writes to the right, the others to the left, so that words at neighbouring dots keep apart.
    sides = [((-8, -4), "right")] * (len(lines) - 1) + [((8, -4), "left")]
    for (name, arms), colour, (offset, side) in zip(lines.items(), LINES * len(lines), sides, strict=False):
        seeds = np.array(
            [[study.values(arm, measure) for arm in arms] for measure in (across, up)], dtype=float
        )
        ax.plot(seeds[0], seeds[1], "o", color=colour, markersize=3, alpha=0.45)
        ax.plot(*seeds.mean(2), color=colour, marker="o", label=name)
        for arm, place in zip(arms, seeds.mean(2).T, strict=True):
            if arm not in written:
                word = points.get(arm, "")
                ax.annotate(
                    word, (place[0], place[1]), offset, textcoords="offset points", ha=side, color=colour
                )
                written.add(arm)
    ax.set(xlabel=across, ylabel=up)
    ax.grid(color=FAINT, linewidth=0.5)
    fig.legend(loc="upper left", bbox_to_anchor=(0.73, 0.97))
    return fig
