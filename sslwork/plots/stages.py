"""Which factor of a picture is learnt: by two features' pulls, by stage, and by how easy each factor is to see."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from sslwork.plots.colours import Colouring
from sslwork.plots.scatter import MARKERS
from sslwork.plots.sheets import to_pixels
from sslwork.plots.style import BAD, GOOD, GREY, LOOK, PALETTE, Figure, bare, figure

_STRIP = 20  # pictures of a cell
_NAMED = 10  # kinds that a legend has room for


@LOOK
def pulls(learnt: Tensor, mixed: Tensor, cell: Tensor) -> Figure:
    """How much the loss wants more of two features, while the first is learnt, in two kinds of batches.

    Args:
        learnt: (S,) weight of the first feature.
        mixed, cell: (S, 2) pulls on the first and the second, see `suppression.pulls`.
    """
    fig = figure(840, 250)
    fig.subplots_adjust(left=0.07, right=0.99, bottom=0.18, top=0.88, wspace=0.1)
    for ax, pull, name in zip(
        fig.subplots(1, 2, sharey=True),
        (mixed, cell),
        ("batch of all pictures", "batch from one cell"),
        strict=True,
    ):
        ax.plot(learnt, pull[:, 0], color=PALETTE[0], label="easy feature")
        ax.plot(learnt, pull[:, 1], color=PALETTE[4], label="hard feature")
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.set(title=name, xlabel="how far the easy feature is learnt (its weight)")
    fig.axes[0].set_ylabel("pull (what more of it gains)")
    fig.axes[0].legend()
    return fig


@LOOK
def stage(
    xy: np.ndarray,
    kinds: Sequence[Any] | Tensor,
    images: Tensor,
    accuracy: Mapping[str, Mapping[str, float]],
    now: str,
    *,
    title: str = "",
    palette: Sequence[str] = (),
) -> Figure:
    """The map of one stage, coloured by a factor; what each stage knows of each factor; the pictures of one cell.

    Args:
        xy: (N, 2) places.
        kinds: one entry per point, whole numbers.
        images: (M, C, H, W) of one cell; the first of them are shown.
        accuracy: arm -> factor -> %.
        now: the arm to frame.
        title: what the colour means.
        palette: a colour for each kind, where kinds are colours themselves; else there is a legend for up to ten.
    """
    fig = figure(840, 380)
    ax, shade = bare(fig.add_axes((0.0, 0.2, 0.43, 0.74))), Colouring(kinds, len(xy))
    if palette:
        shade.palette = [palette[int(name)] for name in shade.names]
    for number, marker in enumerate(MARKERS[: shade.symbols.max() + 1]):
        rows = shade.symbols == number
        colours = np.array(shade.palette)[shade.codes[rows]]
        ax.scatter(xy[rows, 0], xy[rows, 1], s=9, c=colours, marker=marker, linewidths=0)
    ax.set_title(title)
    if len(shade.names) <= _NAMED and not palette:
        for code, (name, colour) in enumerate(zip(shade.names, shade.palette, strict=True)):
            ax.scatter([], [], s=16, c=colour, marker=MARKERS[code // len(shade.hues)], label=name)
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), handletextpad=0.1, borderaxespad=0)
    heat(fig.add_axes((0.62, 0.24, 0.37, 0.7)), accuracy, now)
    strip = bare(fig.add_axes((0.0, 0.0, 1.0, 0.15)))
    for i, pixels in enumerate(to_pixels(images[:_STRIP])):
        strip.imshow(pixels, extent=(i + 0.04, i + 0.96, 0, 1), aspect="auto", interpolation="nearest")
    strip.set(xlim=(0, _STRIP), ylim=(0, 1.1))
    return fig


def heat(ax: Axes, accuracy: Mapping[str, Mapping[str, float]], now: str = "") -> None:
    """Arms down, factors across, accuracies in %; one row framed."""
    arms, factors = list(accuracy), list(next(iter(accuracy.values())))
    if now and now not in arms:
        raise ValueError(f"now must be one of {arms}, got {now!r}")
    values = np.array([[accuracy[arm][factor] for factor in factors] for arm in arms])
    ax.imshow(values, cmap="viridis", vmin=0, vmax=100, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value < 60 else "black"
        ax.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour)
    if now:
        ax.add_patch(
            Rectangle(
                (-0.5, arms.index(now) - 0.5), len(factors), 1, fill=False, edgecolor=BAD, linewidth=2.5
            )
        )
    ax.set_xticks(range(len(factors)), factors)
    ax.set_yticks(range(len(arms)), arms)
    ax.tick_params(length=0)


@LOOK
def ease(images: Tensor, trained: Mapping[str, Sequence[float]], untrained: Mapping[str, float]) -> Figure:
    """Some pictures, and what a trained encoder knows of each of their factors; a stroke for the encoder before training.

    Args:
        images: (N, C, H, W), the first 18 of which are shown.
        trained: factor -> % for each seed.
        untrained: factor -> %.
    """
    fig = figure(840, 190)
    sheet = bare(fig.add_axes((0.0, 0.06, 0.32, 0.88)))
    for i, pixels in enumerate(to_pixels(images[:18])):
        x, y = i % 6, i // 6
        sheet.imshow(pixels, extent=(x + 0.04, x + 0.96, -y - 0.96, -y - 0.04), interpolation="nearest")
    sheet.set(xlim=(0, 6), ylim=(-3, 0))
    ax = fig.add_axes((0.43, 0.22, 0.56, 0.7))
    for row, (name, values) in enumerate(trained.items()):
        ax.barh(row, sum(values) / len(values), height=0.55, color=PALETTE[1])
        ax.plot(values, [row] * len(values), "o", color=GREY, markersize=4)
        ax.plot([untrained[name]] * 2, [row - 0.38, row + 0.38], color=GOOD, linewidth=2)
    ax.set_yticks(range(len(trained)), list(trained))
    ax.set(xlim=(0, 100), xlabel="linear probe, % (dots: seeds; green stroke: before training)")
    ax.invert_yaxis()
    return fig
