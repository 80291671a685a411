"""Which copy is named: the evidence per copy, two copies against each other, and what more examples are worth."""

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from sslwork import tracing
from sslwork.plots.style import BAD, GREY, LOOK, PALETTE, Figure, figure

_OTHER = PALETTE[4]


@LOOK
def verdicts(scores: Sequence[Tensor], source: int, other: int, *, votes: int = 1, most: int = 12) -> Figure:
    """Mean DOL of each copy over `votes` examples; source against another copy; share named right by examples.

    Args:
        scores: DOL (N, copies) of the examples made on `source`, and of those made on `other`.
        source, other: numbers of copies, from 0.
        votes: examples put together in the bars.
        most: the largest number of examples on the last axis.

    Raises:
        ValueError: no examples, or a copy that is not there.
    """
    mine, theirs = (each.detach().cpu() for each in scores)
    copies = mine.shape[1]
    if not len(mine):
        raise ValueError("there are no examples made on the source: no attack succeeded; raise eps")
    if not 0 <= source < copies or not 0 <= other < copies:
        raise ValueError(f"source and other must lie in 0..{copies - 1}, got {source} and {other}")
    fig = figure(860, 270)
    bars, plane, curve = (fig.add_axes((0.06 + 0.335 * i, 0.17, 0.26, 0.68)) for i in range(3))
    evidence = mine[:votes].mean(0).numpy()
    colours = [BAD if i == source else _OTHER if i == other else GREY for i in range(copies)]
    bars.bar(range(1, copies + 1), evidence, color=colours)
    bars.axhline(0, color=GREY, linewidth=0.8)
    counted = "1 example" if (n := min(votes, len(mine))) == 1 else f"{n} examples"
    bars.set(title=f"mean DOL of {counted}", xlabel="copy", ylim=(-1.42, 1.42))
    bars.set_xticks(range(1, copies + 1))
    for points, colour, name in ((mine, BAD, source), (theirs, _OTHER, other)):
        plane.scatter(
            points[:, source], points[:, other], s=12, color=colour, alpha=0.7, label=f"made on {name + 1}"
        )
    plane.plot([-1.42, 1.42], [-1.42, 1.42], color=GREY, linewidth=0.8, linestyle=":")
    plane.set(
        title="below the line: source named", xlabel=f"DOL of copy {source + 1}", ylabel=f"DOL of copy {other + 1}"
    )  # fmt: skip
    plane.set(xlim=(-1.45, 1.45), ylim=(-1.45, 1.45))
    plane.legend(loc="lower left", handletextpad=0.1)
    counts = np.arange(1, min(most, len(mine)) + 1)
    right = [100 * float((tracing.trace(mine, votes=int(n)) == source).double().mean()) for n in counts]
    curve.plot(counts, right, color=BAD, marker="o", markersize=3)
    curve.axhline(100 / copies, color=GREY, linewidth=0.8, linestyle=":")
    curve.axvline(votes, color=GREY, linewidth=0.8)
    curve.set(title="groups that name the source, %", xlabel="examples in a group", ylim=(-3, 103))
    curve.xaxis.set_major_locator(MaxNLocator(integer=True))
    return fig
