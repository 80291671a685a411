"""A picture as a code of bits: the picture, its bits, what the decoder makes of them, and how sure the classifier is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from sslwork.plots.sheets import to_pixels
from sslwork.plots.style import BAD, GREY, LOOK, PALETTE, Figure, bare, figure


@dataclass(frozen=True)
class Coded:
    """One picture (C, H, W), its bits (L,) of -1 and 1, its reconstruction (C, H, W), and class probabilities (K,)."""

    picture: Tensor
    bits: Tensor
    restored: Tensor
    probabilities: Tensor


@LOOK
def codes(rows: Mapping[str, Coded]) -> Figure:
    """One row per picture: picture -> bits -> reconstruction -> probabilities; bits unlike the first row's in red.

    Raises:
        ValueError: no rows, or codes of other lengths.
    """
    if not rows or len({len(row.bits) for row in rows.values()}) != 1:
        raise ValueError(
            f"give one or more rows with codes of one length, got {[len(r.bits) for r in rows.values()]}"
        )
    first = next(iter(rows.values()))
    fig = figure(760, 30 + 150 * len(rows))
    axes = fig.subplots(len(rows), 4, squeeze=False, width_ratios=(1, 1, 1, 1.5))
    fig.subplots_adjust(left=0.12, right=0.99, top=1 - 26 / (30 + 150 * len(rows)), bottom=0.07, wspace=0.22)
    for line, (name, row) in zip(axes, rows.items(), strict=True):
        for ax, picture in ((line[0], row.picture), (line[2], row.restored)):
            bare(ax).imshow(to_pixels(picture.detach().clamp(0, 1)[None])[0], interpolation="nearest")
        _bitmap(line[1], row.bits, row.bits != first.bits)
        sure = row.probabilities.detach().numpy()
        line[3].bar(
            range(len(sure)), sure, color=[BAD if k == sure.argmax() else GREY for k in range(len(sure))]
        )
        line[3].set(ylim=(0, 1), xticks=range(len(sure)), yticks=(0, 1))
        line[0].text(-0.08, 0.5, name, transform=line[0].transAxes, ha="right", va="center")
    for ax, title in zip(axes[0], ("picture", "bits", "decoded", "probabilities"), strict=True):
        ax.set_title(title)
    return fig


@LOOK
def margins(
    mu: Tensor, threshold: float, distances: Tensor, flipped_at: Tensor, eps: Sequence[float]
) -> Figure:
    """Where mu lies about the thresholds; and for each bit its margin against the least eps at which it flipped.

    Args:
        mu: any shape.
        threshold: tau.
        distances: | |mu_d| - tau | of some bits, (M,).
        flipped_at: for each the least eps that flipped it, (M,); infinity where none did.
        eps: those tried.
    """
    fig = figure(760, 240)
    left, right = fig.subplots(1, 2)
    fig.subplots_adjust(left=0.07, right=0.98, bottom=0.18, top=0.88, wspace=0.22)
    reach = float(mu.abs().quantile(0.99))
    left.hist(mu.flatten().numpy(), np.linspace(-reach, reach, 81), color=GREY)
    left.axvspan(-threshold, threshold, color=PALETTE[0], alpha=0.35)
    left.set(xlabel="mu (orange: the bit is +1)", title="latent entries", yticks=[])
    tried = [*eps, torch.inf]
    groups = [distances[flipped_at == one] for one in tried]
    ink = {name: {"color": GREY} for name in ("boxprops", "whiskerprops", "capprops")}
    right.boxplot(
        [each.numpy() if len(each) else [np.nan] for each in groups], showfliers=False, medianprops={"color": BAD}, **ink,
        tick_labels=[*(f"{one:g}" for one in eps), "never"],
    )  # fmt: skip
    right.set(xlabel="least eps that flips the bit", title="margin of the bit, clean", yscale="log")
    return fig


def _bitmap(ax: Axes, bits: Tensor, flipped: Tensor) -> None:
    side = int(np.ceil(len(bits) ** 0.5))
    shown = np.full((side * side, 3), 0.75)
    light = (bits > 0).numpy()[:, None]
    plain, red = np.where(light, 0.95, 0.2), np.where(light, [0.95, 0.45, 0.2], [0.6, 0.15, 0.0])
    shown[: len(bits)] = np.where(flipped.numpy()[:, None], red, plain)
    bare(ax).imshow(shown.reshape(side, side, 3), interpolation="nearest")
