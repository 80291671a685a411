"""One perturbation for all pictures: itself, its spectrum, what it does to pictures, to rows and to predictions."""

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor

from sslwork.plots.sheets import mosaic
from sslwork.plots.style import BAD, FAINT, GREY, LOOK, PALETTE, Figure, bare, figure


@LOOK
def universal(
    delta: Tensor, radius: float, clean: Tensor, attacked: Tensor, before: Tensor, after: Tensor, rates: Mapping[str, float],
    labels: Tensor | None = None,
) -> Figure:  # fmt: skip
    """The perturbation amplified, its spectrum with the ring of the high-pass, pictures, their rows on the move, rates.

    Args:
        delta: (1, C, H, W), drawn from its least to its largest value.
        radius: of the ring, in cycles per picture.
        clean, attacked: (N, C, H, W) in [0, 1], the same pictures before and after.
        before, after: (M, D), rows before and after.
        rates: name -> share of predictions that change, in %.
        labels: (M,) class indices that colour the rows.

    Raises:
        ValueError: pictures or rows that do not belong together.
    """
    if clean.shape != attacked.shape or before.shape != after.shape:
        raise ValueError("pictures and rows must come in pairs, before and after, of one shape")
    fig = figure(860, 330)
    fig.subplots_adjust(left=0.01, right=0.99)
    low, high = delta.aminmax()
    shown = (
        (delta - low) / (high - low) if high > low else torch.full_like(delta, 0.5)
    )  # no change is mid-grey
    ax = bare(fig.add_axes((0.0, 0.50, 0.16, 0.38)))
    ax.imshow(mosaic(shown, 1), interpolation="nearest")
    ax.set_title(f"perturbation\n{float(low):+.2f} to {float(high):+.2f}")
    _spectrum(fig.add_axes((0.035, 0.03, 0.11, 0.32)), delta, radius)
    sheet = bare(fig.add_axes((0.185, 0.05, 0.155, 0.83)))
    both = torch.stack([clean, attacked], 1).flatten(0, 1)
    sheet.imshow(mosaic(both, 2), interpolation="nearest")
    sheet.set_title("before  after")
    moved(fig.add_axes((0.36, 0.03, 0.40, 0.85)), before, after, labels)
    ax = fig.add_axes((0.865, 0.12, 0.115, 0.74))
    ax.barh(range(len(rates)), list(rates.values()), color=PALETTE[0], height=0.6)
    ax.set_yticks(range(len(rates)), [name.replace(", ", "\n") for name in rates])
    ax.set(xlim=(0, 100), ylim=(len(rates) - 0.5, -0.5), title="predictions\nthat change, %")
    for place, rate in enumerate(rates.values()):
        ax.text(min(rate, 75) + 2, place, f"{rate:.0f}", va="center")
    return fig


def moved(ax: Axes, before: Tensor, after: Tensor, labels: Tensor | None = None) -> None:
    """Rows (M, D) before and after as arrows, in the plane of the two widest directions of both together."""
    rows = torch.cat([before, after]).double()
    middle = rows.mean(0)
    plane = torch.linalg.svd(rows - middle, full_matrices=False).Vh[:2].T  # (D, 2)
    start, end = (((each.double() - middle) @ plane).numpy() for each in (before, after))
    colours = GREY if labels is None else [PALETTE[int(y) % len(PALETTE)] for y in labels]
    bare(ax).scatter(start[:, 0], start[:, 1], s=14, c=colours, linewidths=0.3, edgecolors=FAINT, zorder=2)
    arrow = end - start
    if np.abs(arrow).max() > 0:
        ax.quiver(
            *start.T, *arrow.T, color=BAD, alpha=0.55, angles="xy", scale_units="xy", scale=1, width=0.003
        )
    ax.update_datalim(np.concatenate([start, end]))
    ax.autoscale_view()
    ax.set_title("rows (PCA of both): where each is, and where it goes")


def _spectrum(ax: Axes, delta: Tensor, radius: float) -> None:
    """log(1 + |F|), the zero frequency in the middle, dark to bright; inside the ring are the low frequencies."""
    height, width = delta.shape[-2:]
    power = torch.fft.fftshift(torch.fft.fft2(delta[0].mean(0))).abs().log1p()
    bare(ax).imshow(power.numpy(), cmap="viridis", interpolation="nearest")
    ax.add_patch(Circle((width // 2, height // 2), radius, fill=False, edgecolor=BAD, linewidth=1.4))
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    ax.set_title(f"spectrum,\nring at {radius:g}")
