"""Where the embedding of a mixed picture lies: along the line between those of its parts, and off it."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sslwork.data.pictures import to_float
from sslwork.plots.sheets import to_pixels
from sslwork.plots.style import FAINT, GREY, LINES, LOOK, Figure, bare, figure


@LOOK
def mixing(first: Tensor, second: Tensor, mix: float, places: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Some pictures with their mix, and one panel per network with all mixed embeddings.

    Args:
        first, second: pictures (n, C, H, W); row i of one is mixed with row i of the other.
        mix: share of the first.
        places: network -> ((N,) along the line, 0 at the second part and 1 at the first; (N,) distance off it), both
            in units of the distance between the parts.
    """
    if not 0 <= mix <= 1:
        raise ValueError(f"mix must lie in [0, 1], got {mix}")
    fig = figure(860, 280)
    sheet = fig.add_gridspec(3, 4, left=0.05, right=0.29, bottom=0.12, top=0.9, wspace=0.05, hspace=0.05)
    one, two = to_float(first[:4]), to_float(second[:4])
    names = ("view 1", "view 2", f"{mix:.2f} of 1")
    for i, (row, name) in enumerate(zip((one, two, two.lerp(one, mix)), names, strict=True)):
        for j, picture in enumerate(to_pixels(row)):
            ax = bare(fig.add_subplot(sheet[i, j]))
            ax.imshow(picture, interpolation="nearest")
            if j == 0:
                ax.text(
                    -0.1, 0.5, name, transform=ax.transAxes, rotation=90, ha="right", va="center", fontsize=7
                )
    panels = fig.add_gridspec(1, len(places), left=0.37, right=0.99, bottom=0.17, top=0.86, wspace=0.1)
    top = max(
        0.5, *(float(off.max()) for _, off in places.values())
    )  # all lie on the star where nothing is mixed
    for i, (name, (along, off)) in enumerate(places.items()):
        ax = fig.add_subplot(panels[i])
        ax.axvline(mix, color=FAINT, linewidth=3)
        ax.scatter(along, off, s=9, color=LINES[i], alpha=0.5, linewidths=0)
        ax.plot(mix, 0, "*", color=GREY, markersize=11)
        rest = float(torch.hypot(along - mix, off).mean())
        ax.set(
            xlim=(-0.6, 1.6),
            ylim=(-0.04 * top, 1.05 * top),
            xlabel="along the line",
            title=f"{name}\nmiss {rest:.2f}",
        )
        if i:
            ax.set_yticklabels([])
        else:
            ax.set_ylabel("off the line")
    return fig
