"""What losses charge for collapse: shrinking to a point, and falling into few directions."""

from collections.abc import Mapping, Sequence

from sslwork.plots.style import FAINT, LINES, LOOK, Figure, figure

Curves = Mapping[str, Sequence[float]]


@LOOK
def price(
    spreads: Sequence[float], shrinking: Curves, directions: Sequence[int], falling: Curves, *,
    now: tuple[float, int],
) -> Figure:  # fmt: skip
    """Two panels: what each loss costs over the spread of the rows, and over the directions they use.

    Args:
        spreads: on a logarithmic axis.
        shrinking: name of a loss -> one value per spread, 1 for what a single point costs.
        directions: whole numbers.
        falling: name -> one value per number of directions, in the same unit.
        now: the spread and the number of directions that a line marks.
    """
    if shrinking.keys() != falling.keys():
        raise ValueError(f"both panels must show the same losses, got {list(shrinking)} and {list(falling)}")
    fig = figure(840, 270)
    left, right = fig.subplots(1, 2, sharey=True)
    for i, name in enumerate(shrinking):
        # Some lie on one another: those drawn first are wide.
        style = {"color": LINES[i % len(LINES)], "label": name, "linewidth": 3.2 - 0.5 * i}
        left.plot(spreads, shrinking[name], **style)
        right.plot(directions, falling[name], marker="o", markersize=3, **style)
    left.set(xscale="log", xlabel="spread of every column", ylabel="loss; 1: as dear as a single point")
    left.set_title(f"shrinking to a point, over {now[1]} directions")
    right.set_title(f"falling into few directions, at spread {now[0]:.3g}")
    right.set(xlabel="directions in use", ylim=(-0.06, 1.6))
    for ax, place in zip((left, right), now, strict=True):
        ax.axvline(place, color=FAINT, linewidth=3)
    fig.legend(*left.get_legend_handles_labels(), loc="upper left", ncols=5, bbox_to_anchor=(0.05, 1.01))
    fig.subplots_adjust(left=0.07, right=0.99, bottom=0.17, top=0.8, wspace=0.06)
    return fig
