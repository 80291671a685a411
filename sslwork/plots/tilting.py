"""A tilted boundary: in the plane with mirror images, and between digits with the components it reads."""

import numpy as np
from torch import Tensor

from sslwork.plots.style import BAD, FAINT, GREY, LOOK, PALETTE, Figure, bare, figure
from sslwork.tilting import Boundary

_I, _J = PALETTE[4], PALETTE[0]


@LOOK
def tilted(rows: Tensor, labels: Tensor, c: Boundary, z: Boundary, *, arrows: int = 12) -> Figure:
    """Two classes in the plane, the boundaries of c (red) and of the nearest centroid z, and points sent to mirror images.

    Args:
        rows, labels: (N, 2), and (N,) with 1 for class I.
        arrows: so many of the first points get an arrow x -> m_C(x).
    """
    if rows.shape[1] != 2:
        raise ValueError(f"rows must have two columns to be drawn, got shape {tuple(rows.shape)}")
    fig = figure(840, 460)
    ax = fig.add_axes((0.05, 0.1, 0.93, 0.82))
    xy = rows.numpy()
    for label, colour, name in ((1, _I, "class I"), (0, _J, "class J")):
        x, y = xy[labels.numpy() == label].T
        ax.scatter(x, y, s=16, color=colour, label=name, alpha=0.7, linewidths=0)
    for each, colour, style, name in ((z, GREY, "--", "nearest centroid"), (c, BAD, "-", "tilted")):
        (nx, ny), (px, py) = each.normal.tolist(), (-each.offset * each.normal).tolist()
        ax.axline((px, py), (px - ny, py + nx), color=colour, linestyle=style, label=name)
    start, end = rows[:arrows].numpy(), c.mirror(rows[:arrows]).numpy()
    ax.quiver(*start.T, *(end - start).T, angles="xy", scale_units="xy", scale=1, width=0.0018, color=GREY)
    ax.plot([], [], color=GREY, linewidth=0.8, label="to the mirror image")
    ax.set(xlim=(-4.2, 4.2), ylim=(-2.3, 2.3), aspect="equal", xlabel="along i - j", ylabel="along u")
    fig.legend(*ax.get_legend_handles_labels(), loc="upper left", ncols=5, bbox_to_anchor=(0.04, 1.0))
    return fig


@LOOK
def between_digits(c: Boundary, digit: Tensor, shares: Tensor, side: int) -> Figure:
    """The normal as a picture, a digit with its mirror image, and how much of c lies within the first components.

    Args:
        digit: (D,) in [0, 1], D = side * side; what leaves [0, 1] in the mirror image is shown cut off.
        shares: (D,) of ||c||^2, the components in order of falling variance.
    """
    if digit.shape != (side * side,):
        raise ValueError(f"digit must have shape ({side * side},), got {tuple(digit.shape)}")
    fig = figure(840, 220)
    mirror = c.mirror(digit[None])[0]
    most = float(c.normal.abs().max())
    for k, (title, picture, limits, colours) in enumerate((
        ("c: blue for I, red for J", c.normal, (-most, most), "RdBu"),
        ("a digit", digit, (0, 1), "gray"),
        ("its mirror image", mirror, (0, 1), "gray"),
    )):  # fmt: skip
        ax = bare(fig.add_axes((0.005 + 0.19 * k, 0.02, 0.18, 0.84)))
        ax.imshow(picture.reshape(side, side).numpy(), cmap=colours, vmin=limits[0], vmax=limits[1])
        ax.set_title(title)
    ax = fig.add_axes((0.64, 0.2, 0.345, 0.66))
    ax.plot(np.arange(1, len(shares) + 1), shares.cumsum(0).numpy(), color=BAD)
    ax.axvline(20, color=GREY, linestyle=":", linewidth=1)
    ax.grid(color=FAINT, linewidth=0.6)
    ax.set(xscale="log", ylim=(-0.03, 1.03), xlabel="first components (dotted: 20)")
    ax.set_title("share of c within them")
    return fig
