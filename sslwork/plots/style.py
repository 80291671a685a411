"""The look of every figure: it reads on light and on dark pages, and the colour-blind can tell the colours apart."""

import base64
import io
from typing import Any

import matplotlib
import matplotlib.figure
from matplotlib.axes import Axes
from PIL import Image

# Okabe & Ito 2008; grey stands in for their black, which vanishes on a dark page.
PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#8C8C8C")
# For lines: those that are plain on both pages when thin come first.
LINES = tuple(PALETTE[i] for i in (5, 1, 2, 6, 0, 4, 7, 3))
GOOD, WARN, BAD = PALETTE[2], PALETTE[0], PALETTE[5]
GREY = "#808080"  # about equally far from a white and from a nearly black page
FAINT = "#80808055"

# No `axes.prop_cycle` or size is set for the session: the context ends with the function that draws.
LOOK = matplotlib.rc_context(
    {
        "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "text.color": GREY,
        "axes.labelcolor": GREY, "axes.edgecolor": GREY, "axes.titlecolor": GREY, "xtick.color": GREY, "ytick.color": GREY,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False, "font.size": 8.5,
        "axes.titlesize": 9, "axes.labelsize": 8.5, "xtick.labelsize": 8, "ytick.labelsize": 8, "legend.frameon": False,
        "legend.fontsize": 8, "axes.linewidth": 0.8, "lines.linewidth": 1.6,
    }
)  # fmt: skip

_DPI = 100  # one hundredth of an inch of figure is one pixel of page


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that shows itself as a PNG, without pyplot and its list of open figures."""

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        width = size(self)[0]
        data = {
            "image/png": base64.b64encode(quantised(png(self, scale=2))).decode(),
            "text/plain": str(self),
        }
        return data, {"image/png": {"width": width}}


def figure(width: int, height: int) -> Figure:
    """An empty figure of this many pixels on the page."""
    return Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="none")


def size(fig: matplotlib.figure.Figure) -> tuple[int, int]:
    """Width and height on the page, in pixels."""
    width, height = fig.get_size_inches() * _DPI
    return round(width), round(height)


def png(fig: matplotlib.figure.Figure, *, scale: float = 1.5) -> bytes:
    """The figure as PNG, `scale` pixels of picture for each pixel of page (sharp on fine screens)."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=_DPI * scale, pil_kwargs={"compress_level": 1})  # speed over size
    return buffer.getvalue()


def quantised(data: bytes, *, limit: int = 120_000) -> bytes:
    """The PNG with a palette of 256 colours or fewer, smaller until it has at most `limit` bytes: to be stored."""
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    while True:
        buffer = io.BytesIO()
        image.quantize(256, method=Image.Quantize.FASTOCTREE).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= limit:
            return buffer.getvalue()
        image = image.resize((image.width * 4 // 5, image.height * 4 // 5), Image.Resampling.LANCZOS)


def bare(ax: Axes) -> Axes:
    """Axes without frame and ticks: for pictures, and for maps whose axes mean nothing."""
    ax.set_axis_off()
    return ax
