"""Attacks seen: what they change, what they leave right, and the ground they climb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from sslwork.attacks.intervals import wilson
from sslwork.plots.sheets import to_pixels
from sslwork.plots.style import BAD, FAINT, GOOD, GREY, LINES, LOOK, Figure, bare, figure

if TYPE_CHECKING:
    import pandas as pd

_CELL, _MARGIN, _LINE = 62, 150, 15  # pixels of page


@LOOK
def perturbations(
    x: Tensor,
    found: Mapping[str, Tensor],
    answers: Mapping[str, Sequence[str]],
    names: Sequence[str],
    *,
    amplify: float = 4.0,
) -> Figure:
    """Pictures in a row; under them, for each attack, what it made of them, and below that its change on mid-grey.

    Args:
        x: (N, C, H, W) in [0, 1], a dozen at most.
        found: attack -> x' (N, C, H, W).
        answers: "" and attack -> what the model says, N names each; "" is said of x. Wrong ones are red.
        names: N, what is right.
        amplify: the change is shown so many times as large.

    Raises:
        ValueError: shapes or numbers of names that do not fit.
    """
    for name, other in {"": x, **found}.items():
        if other.shape != x.shape or len(answers[name]) != len(x) or len(names) != len(x):
            raise ValueError(
                f"{name or 'x'}: {len(x)} pictures, answers and names of one shape wanted, got {tuple(other.shape)}, "
                f"{len(answers[name])} answers and {len(names)} names"
            )
    rows: list[tuple[str, Tensor, Sequence[str]]] = [("as it is", x, answers[""])]
    for name, other in found.items():
        rows.append((name, other, answers[name]))
        rows.append((f"change x {amplify:g}", (0.5 + amplify * (other - x)).clamp(0, 1), [""] * len(x)))
    heights = [_CELL + (_LINE if any(said) else 2) for _, _, said in rows]
    width, height = _MARGIN + len(x) * (_CELL + 4), sum(heights) + 4
    fig = figure(width, height)
    top = height - 2
    for (label, images, said), tall in zip(rows, heights, strict=True):
        fig.text((_MARGIN - 8) / width, (top - _CELL / 2) / height, label, ha="right", va="center")
        for i, pixels in enumerate(to_pixels(images)):
            left = _MARGIN + i * (_CELL + 4)
            box = (left / width, (top - _CELL) / height, _CELL / width, _CELL / height)
            bare(fig.add_axes(box)).imshow(pixels, interpolation="nearest")
            colour = GREY if said[i] == names[i] else BAD
            fig.text((left + _CELL / 2) / width, (top - _CELL - 2) / height, said[i], ha="center", va="top", color=colour)  # fmt: skip
        top -= tall
    return fig


@LOOK
def over_eps(
    eps: Sequence[float],
    right: Mapping[str, Sequence[int]],
    n: int,
    *,
    now: float | None = None,
    chance: float | None = None,
) -> Figure:
    """Accuracy against the radius of the ball, with 95 % intervals: one curve per model or attack.

    Args:
        eps: radii, rising.
        right: name -> samples named right at each radius, of n. A name that starts with "noise" is a control, in grey.
        n: samples.
        now: a radius to mark.
        chance: an accuracy to mark.
    """
    fig = figure(600, 300)
    ax = fig.add_axes((0.09, 0.15, 0.62, 0.8))
    colours = iter(LINES * len(right))
    for name, counts in right.items():
        if len(counts) != len(eps):
            raise ValueError(f"{name}: one count for each of {len(eps)} radii wanted, got {len(counts)}")
        control = name.startswith("noise")
        colour = GREY if control else next(colours)
        low, high = np.array([wilson(int(k), n) for k in counts]).T
        ax.fill_between(eps, low, high, color=colour, alpha=0.15, linewidth=0)
        ax.plot(eps, [k / n for k in counts], "--" if control else "-", color=colour, label=name, marker=".")
    _accuracy(ax, chance)
    if now is not None:
        ax.axvline(now, color=FAINT)
    ax.set(xlabel="eps", ylabel="accuracy")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return fig


@LOOK
def ladders(tables: Mapping[str, pd.DataFrame], *, chance: float | None = None) -> Figure:
    """What is left after each stage of `attacks.evaluate`, with its interval: one colour per model."""
    if not tables:
        raise ValueError("tables is empty: there is no ladder to show")
    fig = figure(840, 300)
    ax = fig.add_axes((0.07, 0.16, 0.92, 0.74))
    stages = list(dict.fromkeys(stage for table in tables.values() for stage in table.index))
    for i, (name, table) in enumerate(tables.items()):
        colour, aside = LINES[i % len(LINES)], 0.08 * (i - (len(tables) - 1) / 2)
        at = np.array([stages.index(stage) for stage in table.index]) + aside
        ax.plot(at, table["accuracy"], color=colour, linewidth=1)
        bars = np.abs(table[["low", "high"]].to_numpy().T - table["accuracy"].to_numpy())
        ax.errorbar(at, table["accuracy"], bars, fmt="o", color=colour, markersize=4, label=name)
    ax.set_xticks(range(len(stages)), [stage.replace(", ", ",\n") for stage in stages])
    ax.set(ylabel="accuracy")
    _accuracy(ax, chance)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(tables))
    return fig


@LOOK
def surfaces(found: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """The loss around one picture, one hill per model: along the gradient to the right, across it into the page.

    Args:
        found: name -> what `attacks.loss_surface` gives.
    """
    if not found:
        raise ValueError("found is empty: there is no surface to show")
    fig = figure(840, 290)
    for i, (name, (places, heights)) in enumerate(found.items()):
        ax: Any = fig.add_subplot(1, len(found), i + 1, projection="3d")
        a, b = torch.meshgrid(places, places, indexing="ij")
        ax.plot_surface(
            a.numpy(), b.numpy(), heights.numpy(), cmap=matplotlib.colormaps["viridis"], linewidth=0,
            rcount=len(places), ccount=len(places), antialiased=False,
        )  # fmt: skip
        ax.set_title(f"loss: {name}", y=0.98)
        ax.set_xlabel("along g", labelpad=-6)
        ax.set_ylabel("across", labelpad=-6)
        ax.view_init(28, -65)
        ax.tick_params(labelsize=6, pad=-2)
        for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
            axis.set_pane_color((0, 0, 0, 0))
    fig.subplots_adjust(left=0.0, right=0.96, bottom=0.08, top=0.95, wspace=0.08)
    return fig


def _accuracy(ax: Axes, chance: float | None) -> None:
    ax.set_ylim(-0.02, 1.02)
    if chance is not None:
        ax.axhline(chance, color=GOOD, linewidth=0.8, linestyle=":")
        ax.text(ax.get_xlim()[1], chance, "chance", ha="right", va="bottom", color=GOOD, fontsize=7.5)
