"""What a head does to features: their weights place by place in the network, and over the training."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from sslwork.plots.style import GREY, LOOK, PALETTE, Figure, figure

PLACES = ("input", "before\nthe head", "after\nthe head")
COLOURS = [PALETTE[i] for i in (5, 1, 2, 6, 0, 4)]


@LOOK
def feature_bars(theory: Mapping[str, Tensor], found: Mapping[str, Tensor] | None = None) -> Figure:
    """One panel per case: a group of bars per place, a bar per feature; what was measured as dots.

    Args:
        theory: case -> (3, d) weights in the input, before and after the head.
        found: the same, measured.
    """
    if not theory:
        raise ValueError("theory is empty: give one case at least")
    fig = figure(840, 260)
    axes = fig.subplots(1, len(theory), squeeze=False, sharey=True)[0]
    for ax, (name, weights) in zip(axes, theory.items(), strict=True):
        _bars(ax, PLACES, weights, (found or {}).get(name))
        ax.set_title(name)
    axes[0].set_ylabel("weight of the feature")
    fig.subplots_adjust(left=0.06, right=0.99, bottom=0.17, top=0.9, wspace=0.08)
    return fig


@LOOK
def two_features(
    ends: Mapping[str, Tensor], times: Tensor, gains: Tensor, sigma: Tensor, now: float, *,
    names: Sequence[str] = ("target", "other"),
) -> Figure:  # fmt: skip
    """The weights of features at the end of training, place by place, and on their way there.

    Args:
        ends: place -> (d,) weights.
        times: (T,), the first of them 0.
        gains: (T, d) of the first layer, see `toys.head_theory.flow`.
        sigma: (d,) strength in the input.
        now: the time that a line marks.
        names: of the features, d of them.
    """
    if gains.shape != (len(times), len(names)):
        raise ValueError(f"gains must have shape {(len(times), len(names))}, got {tuple(gains.shape)}")
    fig = figure(840, 280)
    left, right = fig.subplots(1, 2, width_ratios=(1.1, 1))
    _bars(left, list(ends), torch.stack(list(ends.values())), None)
    left.set(title="at the end of training", ylabel="weight of the feature")
    for i, name in enumerate(names):
        right.plot(times[1:], sigma[i] * gains[1:, i], color=COLOURS[i], label=f"{name}, before the head")
        after = sigma[i] * gains[1:, i].square()
        right.plot(times[1:], after, color=COLOURS[i], linestyle="--", label="after it")
    right.axvline(now, color=GREY, linewidth=0.9)
    right.set(title="on the way there", xlabel="time of training", xscale="log", ylim=(0, None))
    fig.legend(*right.get_legend_handles_labels(), loc="upper center", ncols=4, bbox_to_anchor=(0.5, 1.01))
    fig.subplots_adjust(left=0.06, right=0.99, bottom=0.17, top=0.82, wspace=0.13)
    return fig


def _bars(ax: Axes, places: Sequence[str], weights: Tensor, found: Tensor | None) -> None:
    """Groups of bars, (places, d); dots of the same shape."""
    features = weights.shape[1]
    if len(weights) != len(places) or (found is not None and found.shape != weights.shape):
        raise ValueError(f"weights must have one row per place of {list(places)}, got {tuple(weights.shape)}")
    for i in range(features):
        x = np.arange(len(places)) + 0.8 * ((i + 0.5) / features - 0.5)
        ax.bar(x, weights[:, i].numpy(), width=0.72 / features, color=COLOURS[i % len(COLOURS)])
        if found is not None:
            ax.plot(
                x,
                found[:, i].numpy(),
                "o",
                color=GREY,
                markersize=4,
                markeredgecolor="white",
                markeredgewidth=0.6,
            )
    ax.set_xticks(range(len(places)), places)
