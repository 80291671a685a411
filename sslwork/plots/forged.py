"""Real and synthetic pictures: what is left in the spectrum, and how a score tells them apart."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sslwork.data.pictures import to_float
from sslwork.plots.style import GREY, LINES, LOOK, Figure, bare, figure


def spectrum(images: Tensor) -> np.ndarray:
    """The mean over pictures and channels of log |FFT|, low frequencies in the middle: (H, W)."""
    x = to_float(images)
    size = torch.fft.fft2(x - x.mean((-2, -1), keepdim=True)).abs()
    return torch.fft.fftshift((size + 1e-3).log().mean((0, 1)), dim=(-2, -1)).numpy()


@LOOK
def average_spectra(real: Tensor, made: Mapping[str, Tensor]) -> Figure:
    """One panel per generator: its mean log spectrum less that of real pictures, red where it has more."""
    if not made:
        raise ValueError("give the pictures of at least one generator")
    base = spectrum(real)
    fig = figure(840, 230)
    axes = fig.subplots(1, len(made), squeeze=False)[0]
    for ax, (name, images) in zip(axes, made.items(), strict=True):
        shown = bare(ax).imshow(spectrum(images) - base, cmap="RdBu_r", vmin=-2, vmax=2)
        ax.set_title(name)
    fig.subplots_adjust(left=0.01, right=0.92, top=0.88, bottom=0.03, wspace=0.05)
    fig.colorbar(shown, cax=fig.add_axes((0.935, 0.08, 0.012, 0.75)), label="log amplitude, less real")
    return fig


@LOOK
def separated(scores: Mapping[str, np.ndarray], threshold: float) -> Figure:
    """Left: the score of every picture, one row per maker, "real" first; right: the ROC curve with the threshold on it."""
    from sklearn.metrics import roc_curve

    if "real" not in scores or len(scores) < 2:
        raise ValueError(f"scores must hold 'real' and at least one generator, got {list(scores)}")
    fig = figure(840, 300)
    left, right = fig.add_axes((0.17, 0.14, 0.46, 0.8)), fig.add_axes((0.72, 0.14, 0.27, 0.8))
    for row, (name, values) in enumerate(scores.items()):
        jitter = np.random.default_rng(row).uniform(-0.3, 0.3, len(values))
        left.plot(
            values,
            row + jitter,
            ".",
            color=GREY if name == "real" else LINES[row - 1],
            markersize=4,
            alpha=0.7,
        )
    left.axvline(threshold, color=GREY, linewidth=1.2)
    left.set_yticks(range(len(scores)), list(scores))
    left.invert_yaxis()
    left.set_xlabel("score: right of the line is called synthetic")
    synthetic = np.concatenate([values for name, values in scores.items() if name != "real"])
    truth = np.repeat([0, 1], [len(scores["real"]), len(synthetic)])
    false, true, _ = roc_curve(truth, np.concatenate([scores["real"], synthetic]))
    right.plot(false, true, color=LINES[1])
    right.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1)
    right.plot([(scores["real"] > threshold).mean()], [(synthetic > threshold).mean()], "o", color=LINES[0])
    right.set(
        xlabel="real pictures called synthetic",
        ylabel="synthetic ones found",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
    )
    return fig
