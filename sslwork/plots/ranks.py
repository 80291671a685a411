"""Over how many directions runs spread, before the head and after it: at one step, and over the training."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from sslwork.plots.curves import over_steps, through_plane
from sslwork.plots.style import FAINT, GREY, LINES, LOOK, Figure, figure
from sslwork.record import Record

_FLOOR = 1e-5  # of the largest singular value: below it lies rounding
_GHOSTS = 6  # earlier spectra of the run looked at closely
_COLUMNS = 6  # of the legend
_ROUND = (1, 2, 2.5, 5, 10)  # ticks stand on these


def run_colours(names: list[str]) -> dict[str, str]:
    """A colour for each run, the same wherever it is drawn; after eight they begin anew."""
    return {name: LINES[i % len(LINES)] for i, name in enumerate(names)}


@LOOK
def ranks(
    records: Mapping[str, Record],
    step: int,
    *,
    closely: str | None = None,
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Six panels: spectra after and before the head and spread at a step; RankMe, k-NN and the plane over all steps.

    Args:
        records: named records; see `Record.of`. Of each the last look up to `step` is shown.
        step: whose spectra are shown; a line marks it in the curves.
        closely: name of the run drawn thick, with its earlier spectra as ghosts and its spread before the head.
        colours: of the runs, if they are to keep those of a larger set.
    """
    if not records:
        raise ValueError("records is empty: give named records of runs")
    colours = colours or run_colours(list(records))
    fig = figure(880, 400)
    axes = fig.subplots(2, 3)
    rows = _legend(fig, {name: colours[name] for name in records}, closely in records)
    fig.subplots_adjust(
        left=0.055, right=0.983, bottom=0.105, top=0.90 - 0.045 * rows, wspace=0.24, hspace=0.72
    )
    (after, before, spread), (rank, plane, knn) = axes
    # The one looked at closely comes last, and so lies on top.
    for name in sorted(records, key=lambda name: name == closely):
        record, colour, close = records[name], colours[name], name == closely
        _spectrum(after, record, step, "embedding", "rankme", colour, close)
        _spectrum(before, record, step, "representation", "rank_before", colour, close)
        _spread(spread, record, step, colour, close)
        ranks_before = [row["rank_before"] for row in record.history]
        rank.plot([row["step"] for row in record.history], ranks_before, "--", color=colour, linewidth=1)
        over_steps(rank, record, "rankme", colour)
        rank.set_ylim(top=max(rank.get_ylim()[1], 1.05 * max(ranks_before)))
        over_steps(knn, record, "knn", colour)
        through_plane(plane, record, colour)
        if (look := record.at(step)) and "uniformity" in look[0]:
            plane.plot(look[0]["uniformity"], look[0]["alignment"], "D", color=colour, markersize=6)
    _dress(axes, records, step)
    return fig


def _legend(fig: Figure, colours: Mapping[str, str], close: bool) -> int:
    """Colours of the runs, and what dashes and ghosts are; returns how many rows that took."""
    lines = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    lines.append(Line2D([], [], color=GREY, linestyle="--", linewidth=1, label="before the head"))
    if close:
        lines.append(Line2D([], [], color=GREY, linewidth=0.8, alpha=0.5, label="at earlier steps"))
    columns = min(len(lines), _COLUMNS)
    fig.legend(handles=lines, loc="upper left", ncols=columns, bbox_to_anchor=(0.03, 1.012), handlelength=1.6)
    return -(-len(lines) // columns)


def _spectrum(ax: Axes, record: Record, step: int, name: str, rank: str, colour: str, close: bool) -> None:
    """Singular values over the largest; a dot where RankMe stops counting."""
    if (look := record.at(step)) is None:
        return
    if close:
        earlier = [s for s in record.spectra if s < look[0]["step"]]
        for ghost in earlier[:: 1 + len(earlier) // _GHOSTS]:
            ax.plot(*_relative(record.spectra[ghost][name]), color=colour, linewidth=0.8, alpha=0.3)
    k, s = _relative(look[1][name])
    ax.plot(k, s, color=colour, linewidth=2.2 if close else 1.2)
    ax.plot(look[0][rank], np.interp(look[0][rank], k, s), "o", color=colour, markersize=6 if close else 4.5)


def _relative(values: list[float]) -> tuple[np.ndarray, np.ndarray]:
    s = np.asarray(values)
    return np.arange(1, len(s) + 1), np.maximum(s / max(s[0], 1e-300), _FLOOR)


def _spread(ax: Axes, record: Record, step: int, colour: str, close: bool) -> None:
    """Dimensions from the widest to the narrowest, at equal length whatever their number."""
    if (look := record.at(step)) is None:
        return
    for name, style in (("deviation", "-"), ("deviation_before", "--"))[: 2 if close else 1]:
        wide = np.sort(look[1][name])[::-1]
        share = (np.arange(len(wide)) + 0.5) / len(wide)
        ax.plot(100 * share, wide, style, color=colour, linewidth=2.2 if close and style == "-" else 1.2)


def _dress(axes: np.ndarray, records: Mapping[str, Record], step: int) -> None:
    (after, before, spread), (rank, plane, knn) = axes
    for ax in axes.flat:  # ticks take half the time of drawing, and a slider waits
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=_ROUND))
        ax.yaxis.set_major_locator(MaxNLocator(4, steps=_ROUND))
    for ax, what in ((after, "embedding"), (before, "representation")):
        ax.set(yscale="log", ylim=(_FLOOR * 0.8, 1.6), xlabel="direction", xlim=(0, None))
        ax.set_yticks([1, 1e-2, 1e-4], ["1", "1e-2", "1e-4"])
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_title(f"singular values of the {what}\nover the largest; the dot is RankMe")
    spread.axhline(1, color=GREY, linewidth=0.8, linestyle=":")
    spread.set(xlabel="dimensions, sorted (%)", xlim=(0, 100), ylim=(0, max(1.6, spread.get_ylim()[1])))
    spread.set_title("spread of each dimension\n1: an even sphere, 0: a point")
    rank.set_title("effective rank (RankMe)\nhigher: more directions")
    plane.set_title("two aims at once\ntowards lower left is better")
    plane.set(xlabel="uniformity (← spread evenly)", ylabel="alignment (↓ close)")
    knn.set_title("k-NN accuracy of the representation\nhigher is better")
    knn.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    last = max(10, *(record.step for record in records.values()))
    for ax in (rank, knn):
        ax.set(xlabel="step", xlim=(-0.03 * last, 1.03 * last))
        ax.axvline(step, color=FAINT, linewidth=2)
    if not any("knn" in row for record in records.values() for row in record.history):
        knn.text(0.5, 0.5, "no labels were given", transform=knn.transAxes, ha="center", color=GREY)
        knn.set(xticks=[], yticks=[])
