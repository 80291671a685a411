"""The arms of a study side by side: every seed a dot, the mean a bar of ink."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sslwork.plots.style import FAINT, GREY, LOOK, PALETTE, Figure, figure


class Measured(Protocol):
    """What is read of a study."""

    @property
    def arms(self) -> list[str]: ...

    def values(self, arm: str, measure: str) -> list[Any]: ...


@LOOK
def arms(
    study: Measured,
    *measures: str,
    only: Sequence[str] = (),
    lines: Mapping[str, Mapping[str, float]] | None = None,
) -> Figure:
    """One panel per measure, one row per arm: seeds as dots, their mean as a stroke.

    Args:
        study: see `studies.Study`; arms that lack a measure are left out of its panel.
        measures: names of numbers.
        only: the arms to show, in this order; all of them unless given.
        lines: measure -> name -> a value drawn across the panel, chance or raw pixels say.
    """
    if not measures:
        raise ValueError("name at least one measure of the study")
    rows = list(only or study.arms)
    fig = figure(840, 70 + 22 * len(rows))
    axes = fig.subplots(1, len(measures), squeeze=False, sharey=True)[0]
    longest = max(map(len, rows))
    fig.subplots_adjust(left=min(0.35, 0.03 + 0.0085 * longest), right=0.98, bottom=0.32 / (1 + 0.25 * len(rows)),
                        top=1 - 30 / (70 + 22 * len(rows)), wspace=0.12)  # fmt: skip
    for ax, measure in zip(axes, measures, strict=True):
        for place, arm in enumerate(rows):
            try:
                values = [float(value) for value in study.values(arm, measure)]
            except KeyError:
                continue
            mean = sum(values) / len(values)
            ax.plot([mean, mean], [place - 0.32, place + 0.32], color=PALETTE[0], linewidth=2.2)
            ax.plot(values, [place] * len(values), "o", color=PALETTE[0], alpha=0.55, markersize=4.5)
        for name, value in (lines or {}).get(measure, {}).items():
            ax.axvline(value, color=GREY, linewidth=1, linestyle=":")
            left, right = ax.get_xlim()
            side = -1 if value > (left + right) / 2 else 1  # towards the middle, where there is room
            ax.annotate(name, (value, 1), (2 * side, -1), xycoords=("data", "axes fraction"), fontsize=7.5,
                        textcoords="offset points", va="top", ha="right" if side < 0 else "left", color=GREY)  # fmt: skip
        ax.set(title=measure, ylim=(len(rows) - 0.4, -0.9))
        ax.grid(axis="y", color=FAINT, linewidth=0.6)
        ax.set_axisbelow(True)
    axes[0].set_yticks(range(len(rows)), rows)
    return fig
