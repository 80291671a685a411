"""A trigger looked at closely, and where it takes pictures in a representation."""

from collections.abc import Sequence

import numpy as np
from scipy.fft import dctn
from torch import Tensor

from sslwork.plots.sheets import to_pixels
from sslwork.plots.style import BAD, FAINT, GREY, LOOK, PALETTE, Figure, bare, figure


@LOOK
def closely(clean: Tensor, triggered: Tensor, *, amplify: float = 8.0) -> Figure:
    """One picture (C, H, W) without and with its trigger, the difference about mid-grey, and the spectrum of it.

    Args:
        clean, triggered: in [0, 1], of one shape.
        amplify: factor of the difference.
    """
    if clean.shape != triggered.shape or clean.ndim != 3:
        raise ValueError(
            f"two pictures (C, H, W) of one shape wanted, got {clean.shape} and {triggered.shape}"
        )
    change = triggered - clean
    fig = figure(840, 225)
    axes = fig.subplots(1, 4)
    fig.subplots_adjust(left=0.01, right=0.93, bottom=0.03, top=0.88, wspace=0.06)
    shown = {"clean": clean, "triggered": triggered, f"difference, {amplify:g} times": 0.5 + amplify * change}
    for ax, (title, picture) in zip(axes, shown.items(), strict=False):
        bare(ax).imshow(to_pixels(picture[None].clamp(0, 1))[0], interpolation="nearest")
        ax.set_title(title)
    spectrum = np.abs(255 * dctn(change.numpy(), axes=(1, 2), norm="ortho")).max(0)  # (H, W), of all channels
    drawn = axes[3].imshow(spectrum, cmap="viridis", vmin=0)
    axes[3].set_title("its DCT, of 255")
    axes[3].set(xticks=[], yticks=[])
    bar = fig.colorbar(drawn, ax=axes[3], fraction=0.046)
    bar.outline.set_visible(False)
    return fig


@LOOK
def drifts(places: dict[str, Sequence[Sequence[float]]], *, target: str) -> Figure:
    """One panel per encoder: pictures of other classes, and an arrow to where the trigger takes each.

    Args:
        places: encoder -> four lists of N numbers: cosine to the mean of the target class and to that of the own class,
            without the trigger; the same with it.
        target: name of the target class.
    """
    if not 1 <= len(places) <= 3:
        raise ValueError(f"places must hold one to three encoders, got {len(places)}")
    fig = figure(840, 300)
    axes = fig.subplots(1, len(places), squeeze=False, sharex=True, sharey=True)[0]
    fig.subplots_adjust(left=0.075, right=0.99, bottom=0.16, top=0.9, wspace=0.06)
    for ax, (name, values) in zip(axes, places.items(), strict=True):
        x, y, new_x, new_y = np.array(values)
        caught = new_x > new_y
        ax.plot([-1, 1], [-1, 1], color=FAINT, linewidth=1)
        for far, colour in ((~caught, PALETTE[4]), (caught, BAD)):
            ax.quiver(
                x[far], y[far], (new_x - x)[far], (new_y - y)[far], color=colour, angles="xy", scale_units="xy", scale=1,
                width=0.004, alpha=0.8,
            )  # fmt: skip
        ax.scatter(x, y, s=8, color=GREY, linewidths=0)
        ax.set(
            title=f"{name}: {caught.sum()} of {len(x)} nearer to {target}",
            xlim=(-1, 1),
            ylim=(-1, 1),
            xticks=[-0.5, 0, 0.5],
        )
        ax.set(xlabel=f"cosine to the mean of {target}")
    axes[0].set(ylabel="cosine to its own class's mean")
    return fig
