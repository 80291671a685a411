"""Training seen over its steps, one or several runs side by side."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

from matplotlib.axes import Axes

from sslwork.plots.style import FAINT, GREY, LINES, LOOK, Figure, figure


class Trained(Protocol):
    """What is read of a run: one loss per step, one row of numbers per look at the panel."""

    losses: list[float]
    history: list[dict[str, Any]]


@LOOK
def training(runs: Trained | Mapping[str, Trained]) -> Figure:
    """Four panels: loss, k-NN accuracy, RankMe over the steps, and alignment against uniformity.

    Args:
        runs: a run, or named runs to compare.
    """
    named: Mapping[str, Trained] = runs if isinstance(runs, Mapping) else {"": runs}
    if not named:
        raise ValueError("runs is empty: give a run, or named runs")
    fig = figure(840, 230)
    axes = fig.subplots(1, 4)
    fig.subplots_adjust(left=0.05, right=0.99, bottom=0.2, top=0.8, wspace=0.38)
    for (name, run), colour in zip(named.items(), LINES * len(named), strict=False):
        axes[0].plot(range(1, len(run.losses) + 1), run.losses, color=colour, linewidth=1.1, label=name)
        over_steps(axes[1], run, "knn", colour)
        over_steps(axes[2], run, "rankme", colour)
        through_plane(axes[3], run, colour)
    axes[0].set_title("loss\nlower is better")
    axes[1].set_title("k-NN accuracy\nhigher is better")
    axes[1].yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes[2].set_title("effective rank (RankMe)\nhigher: more directions")
    axes[3].set_title("two aims at once\ntowards lower left is better")
    axes[3].set(xlabel="uniformity (← spread evenly)", ylabel="alignment (↓ close)")
    last = max((len(run.losses) for run in named.values()), default=0)
    for ax in axes[:3]:
        ax.set(xlabel="step", xlim=(-0.03 * max(last, 10), 1.03 * max(last, 10)))
    for ax, key in zip(axes[1:], ("knn", "rankme", "alignment"), strict=True):
        if not any(key in row for run in named.values() for row in run.history):
            why = (
                "no labels were given"
                if key == "knn" and any(run.history for run in named.values())
                else "no panel"
            )
            ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", va="center", color=GREY)
            ax.set(xticks=[], yticks=[])
    if len(named) > 1:
        handles, labels = axes[0].get_legend_handles_labels()
        fig.set_figheight(2.5)
        fig.subplots_adjust(top=0.74)
        fig.legend(handles, labels, loc="upper left", ncols=len(named), bbox_to_anchor=(0.03, 1.01))
    return fig


def over_steps(ax: Axes, run: Trained, key: str, colour: str) -> None:
    """One number of each look at the panel as a curve; looks without it are left out."""
    seen = [(row["step"], row[key]) for row in run.history if math.isfinite(row.get(key, math.nan))]
    if seen:
        ax.plot(*zip(*seen, strict=True), color=colour, marker="o", markersize=3)
        ax.set_ylim(0, max(ax.get_ylim()[1], 1.05 * max(y for _, y in seen)))


def through_plane(ax: Axes, run: Trained, colour: str) -> None:
    """The way through the plane of Wang & Isola 2020; a ring marks the start, a dot the end."""
    seen = [(row["uniformity"], row["alignment"]) for row in run.history if "uniformity" in row]
    if seen:
        ax.plot(*zip(*seen, strict=True), color=colour, linewidth=1)
        ax.plot(*seen[0], "o", markersize=5, markerfacecolor=FAINT, markeredgecolor=colour)
        ax.plot(*seen[-1], "o", markersize=5, color=colour)
        # A heap sits at (0, 0): it stays in view, and noise about it is not blown up.
        left, top = min(x for x, _ in seen), max(y for _, y in seen)
        ax.set_xlim(min(ax.get_xlim()[0], 1.08 * left, -1.0), 0.1)
        ax.set_ylim(-0.03, max(ax.get_ylim()[1], 1.1 * top, 0.2))
