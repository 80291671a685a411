"""One temperature for each picture: which are cold, which are hot, and which class they are of."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from sslwork.plots.sheets import to_pixels
from sslwork.plots.style import BAD, GREY, LOOK, PALETTE, Figure, bare, figure

_STRIP = 13  # pictures at each end
_KINDS = 10  # rows of histograms
_COLD, _HOT = PALETTE[4], PALETTE[0]


@LOOK
def individual(temperatures: Tensor, images: Tensor, kinds: Sequence[str], *, shared: float) -> Figure:
    """The coldest and the hottest pictures, and a histogram of the temperatures of each kind.

    Args:
        temperatures: (N,), > 0.
        images: (N, C, H, W), rows as in `temperatures`.
        kinds: the kind of each row; empty for one histogram of all. Of many kinds the extreme ones are shown.
        shared: one temperature for all, to compare with.
    """
    fig = figure(840, 370)
    order, values = temperatures.argsort(), temperatures.numpy()
    n = min(_STRIP, len(order))
    for i, (name, rows) in enumerate((("coldest", order[:n]), ("hottest", order[-n:].flip(0)))):
        _strip(fig.add_axes((0.075, 0.80 - 0.205 * i, 0.915, 0.19)), images[rows], values[rows], name)
    ax = fig.add_axes((0.175, 0.115, 0.815, 0.46))
    _histograms(ax, values, np.array(kinds or ["all"] * len(values)))
    if ax.get_xlim()[0] < shared < ax.get_xlim()[1]:
        ax.axvline(shared, color=BAD, linewidth=1)
    return fig


def _strip(ax: Axes, images: Tensor, values: np.ndarray, name: str) -> None:
    bare(ax)
    for i, (pixels, value) in enumerate(zip(to_pixels(images), values, strict=True)):
        ax.imshow(pixels, extent=(i - 0.4, i + 0.4, 0.2, 1), aspect="auto", interpolation="nearest")
        ax.text(i, 0.17, f"{value:.2g}", ha="center", va="top", fontsize=7.5)
    ax.text(-0.6, 0.6, name, ha="right", va="center", color=_COLD if name == "coldest" else _HOT)
    ax.set(xlim=(-0.5, _STRIP - 0.5), ylim=(0, 1.02))


def _histograms(ax: Axes, values: np.ndarray, kinds: np.ndarray) -> None:
    """One row per kind, hottest on top, each as high as the others and marked at its mean."""
    names, codes, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    means = np.bincount(codes, values) / counts
    shown = means.argsort()
    if len(shown) > _KINDS:
        shown = np.concatenate([shown[: _KINDS // 2], shown[-_KINDS // 2 :]])
    low, high = float(values.min()), float(values.max())
    bins = np.geomspace(low * 0.98, high * 1.02, 40)
    for row, k in enumerate(shown):
        height, colour = np.histogram(values[codes == k], bins)[0], _COLD if row < len(shown) / 2 else _HOT
        ax.stairs(row + 0.9 * height / height.max(), bins, baseline=row, fill=True, color=colour, alpha=0.55)
        ax.plot([means[k]] * 2, [row, row + 0.8], color=GREY, linewidth=1.5)
    labels = [f"{names[k]} ({counts[k]})" for k in shown]
    ax.set(
        xscale="log",
        xlim=(bins[0], bins[-1]),
        xlabel="temperature (red: one for all)",
        ylim=(-0.05, len(shown)),
        yticks=range(len(shown)),
    )
    ax.set_yticklabels(labels, va="bottom")
    ax.tick_params(axis="y", length=0)
    ax.set_xticks(np.geomspace(low, high, 6))
    ax.xaxis.set_major_formatter("{x:.2g}")
    ax.minorticks_off()
