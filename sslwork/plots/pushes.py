"""Whom the contrastive loss pushes away from one picture, and how hard, at one temperature."""

import math

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from torch import Tensor

from sslwork.measures import Pushes
from sslwork.plots.sheets import to_pixels
from sslwork.plots.style import BAD, FAINT, GOOD, GREY, LOOK, PALETTE, Figure, bare, figure

_HARD, _SAME = BAD, PALETTE[1]
_BARS = 12


@LOOK
def pushes(push: Pushes, images: Tensor, labels: Tensor | None = None, *, only: int | None = None) -> Figure:
    """Histogram of similarities, the hardest negatives with their share of the push, pull and entropy as gauges.

    Args:
        push: see `Pushes`; negatives that hard selection drops are greyed out.
        images: all pictures (N, C, H, W), rows as in `push`.
        labels: (N,); negatives of the anchor's own class are marked, for they are no true negatives.
        only: show bars for negatives of this class.
    """
    fig = figure(840, 375)
    ax = bare(fig.add_axes((0.02, 0.56, 0.20, 0.36)))
    ax.imshow(to_pixels(images[push.anchor][None])[0], interpolation="nearest")
    ax.set_title(f"anchor {push.anchor}", pad=4)
    _histogram(fig.add_axes((0.265, 0.61, 0.46, 0.29)), push)
    shown = torch.arange(len(push.rows))
    if only is not None and labels is not None:
        shown = shown[labels[push.rows] == only]
    shown = shown[:_BARS]  # places in the order of hardness
    own = (
        np.zeros(len(shown), bool)
        if labels is None
        else (labels[push.rows[shown]] == labels[push.anchor]).numpy()
    )
    bars = fig.add_axes((0.075, 0.20, 0.915, 0.24))
    _bars(bars, push, shown, own)
    bars.set_title(f"push on the {len(shown)} hardest negatives", loc="left")
    strip = bare(fig.add_axes((0.075, 0.01, 0.915, 0.17)))
    for i, (place, pixels) in enumerate(zip(shown, to_pixels(images[push.rows[shown]]), strict=True)):
        extent, dim = (i - 0.42, i + 0.42, 0, 1), 1.0 if place < push.kept else 0.25
        strip.imshow(pixels, extent=extent, aspect="auto", interpolation="nearest", alpha=dim)
    strip.set(xlim=(-0.6, _BARS - 0.4), ylim=(-0.02, 1.02))
    most = math.log(len(push.rows))
    upper, lower = fig.add_axes((0.765, 0.80, 0.225, 0.05)), fig.add_axes((0.765, 0.615, 0.225, 0.05))
    _gauge(upper, push.pull, 1, f"pull on the positive: {push.pull:.2f} of 1", GOOD, ("0", "1"))
    entropy = f"entropy of push: {push.entropy:.2f} of {most:.2f}"
    _gauge(lower, push.entropy, most, entropy, _HARD, ("one takes all", "all alike"))
    return fig


def _histogram(ax: Axes, push: Pushes) -> None:
    """Where the negatives are (grey, faint where dropped), and where the push goes (coloured): the same area."""
    similarity, share = push.similarity.numpy(), push.share.numpy()
    bins = np.linspace(min(-0.2, float(similarity.min())), 1, 49).tolist()
    even = np.full(len(similarity), 1 / len(similarity))
    kept, dropped = similarity[: push.kept], similarity[push.kept :]
    parts = [(kept, FAINT, "negatives")] + [(dropped, "#80808022", "dropped")] * bool(len(dropped))
    values, colours, names = zip(*parts, strict=True)
    weights = [even[: len(part)] for part in values]
    ax.hist(values, bins, weights=weights, color=colours, label=names, stacked=True)
    ax.hist(similarity, bins, weights=share, histtype="step", color=_HARD, linewidth=1.5, label="push")
    ax.axvline(push.positive, color=GOOD, linewidth=2, label="positive")
    ax.set(xlabel="similarity to the anchor", xlim=(bins[0], 1.02), yticks=[])
    ax.spines["left"].set_visible(False)
    ax.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, handlelength=1.2)


def _bars(ax: Axes, push: Pushes, shown: Tensor, own: np.ndarray) -> None:
    """Bars stand on an equal share, on a log scale: they shrink to nothing as the temperature rises."""
    m = len(push.share)
    times = (push.share[shown] * m).clamp(min=1e-3).numpy()
    bars = np.flatnonzero((shown < push.kept).numpy())
    ax.bar(bars, times[bars] - 1, 0.6, bottom=1, color=np.where(own, _SAME, _HARD)[bars])
    for i, share in enumerate(push.share[shown].tolist()):
        text = _percent(share) if shown[i] < push.kept else "dropped"
        ax.text(i, max(times[i], 1) * 1.15, text, ha="center", va="bottom")
    ax.axhline(1, color=GREY, linewidth=0.8)
    ax.set(yscale="log", xlim=(-0.6, _BARS - 0.4), ylim=(0.7, 4 * m), xticks=[], ylabel="× equal share")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.spines["bottom"].set_visible(False)
    marks = [
        Patch(color=_HARD, label="of another class"),
        Patch(color=_SAME, label="of the anchor's class: no true negative"),
    ]
    ax.legend(handles=marks, loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=2, handlelength=1)


def _percent(share: float) -> str:
    return "< 0.01 %" if share < 1e-4 else f"{100 * share:.0f} %" if share > 0.095 else f"{100 * share:.2g} %"


def _gauge(ax: Axes, value: float, most: float, title: str, colour: str, ends: tuple[str, str]) -> None:
    ax.barh(0, most, color=FAINT)
    ax.barh(0, value, color=colour)
    ax.set(xlim=(0, most), ylim=(-0.4, 0.4), yticks=[], xticks=[])
    ax.set_title(title, loc="left")
    ax.text(0, -0.35, ends[0], transform=ax.transAxes, ha="left", va="top", fontsize=7.5)
    ax.text(1, -0.35, ends[1], transform=ax.transAxes, ha="right", va="top", fontsize=7.5)
    for spine in ax.spines.values():
        spine.set_visible(False)
