"""Curves of a study: every seed a thin line, their mean a thick one."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.ticker import LogFormatter

from sslwork.plots.style import LINES, LOOK, Figure, figure


class Measured(Protocol):
    """What is read of a study."""

    @property
    def arms(self) -> list[str]: ...

    def values(self, arm: str, measure: str) -> list[Any]: ...


@LOOK
def courses(
    study: Measured,
    *measures: str,
    over: str | None = None,
    only: Sequence[str] = (),
    label: str = "",
    log: bool = False,
) -> Figure:
    """One panel per measure, one colour per arm.

    Args:
        study: see `studies.Study`.
        measures: names of lists of numbers, of one length for all seeds of an arm.
        over: the measure that holds their places along the axis; 1, 2, 3, ... unless given.
        only: the arms to show; all of them unless given.
        label: of the axis.
        log: logarithmic values, on one axis for all panels.
    """
    if not measures:
        raise ValueError("name at least one measure of the study")
    shown = list(only or study.arms)
    fig = figure(840, 270)
    axes = fig.subplots(1, len(measures), squeeze=False, sharey=log)[0]
    for ax, measure in zip(axes, measures, strict=True):
        for arm, colour in zip(shown, LINES * len(shown), strict=False):
            seeds = np.array(study.values(arm, measure))  # (seeds, places)
            x = study.values(arm, over)[0] if over else range(1, seeds.shape[1] + 1)
            ax.plot(x, seeds.T, color=colour, linewidth=0.8, alpha=0.45)
            ax.plot(x, seeds.mean(0), color=colour, linewidth=2.2, label=arm)
        ax.set(xlabel=label, title=measure)
    if log:
        axes[0].set_yscale("log")
        axes[0].yaxis.set_major_formatter(LogFormatter())
        axes[0].yaxis.set_minor_formatter(LogFormatter())
    fig.legend(*axes[0].get_legend_handles_labels(), loc="upper left", ncols=4, bbox_to_anchor=(0.04, 1.01))
    fig.subplots_adjust(left=0.06, right=0.99, bottom=0.17, top=0.72 if len(shown) > 4 else 0.79, wspace=0.18)
    return fig
