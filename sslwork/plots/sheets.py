"""Contact sheets: pictures in rows, and views under the picture they were made from."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sslwork.data.pictures import to_float
from sslwork.plots.style import LOOK, Figure, bare, figure

GAP = 2  # pixels of picture between pictures
WIDEST = 840  # pixels of page: what a notebook of 1280 pixels leaves beside its file list
_CELL = 64  # pixels of page, about, where no zoom is given
_LINE = 15  # pixels of page for a line of text


def to_pixels(images: Tensor) -> np.ndarray:
    """Pictures (N, 1 or 3, H, W), uint8 or in [0, 1], as (N, H, W, 3) uint8."""
    if images.ndim != 4:
        raise ValueError(
            f"images must have shape (N, C, H, W), got {tuple(images.shape)}; add a dimension with [None]"
        )
    pixels = (to_float(images.detach().cpu()).clamp(0, 1) * 255).round().to(torch.uint8)
    return pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()


def mosaic(images: Tensor, columns: int, *, below: int = 0) -> np.ndarray:
    """All pictures on one transparent sheet, (rows (H + gap + below), columns (W + gap), 4) uint8."""
    pixels = to_pixels(images)
    n, height, width, _ = pixels.shape
    rows = -(-n // columns)
    sheet = np.zeros((rows, height + GAP + below, columns, width + GAP, 4), np.uint8)
    for i, picture in enumerate(pixels):
        sheet[i // columns, :height, i % columns, :width, :3] = picture
        sheet[i // columns, :height, i % columns, :width, 3] = 255
    return sheet.reshape(rows * sheet.shape[1], columns * sheet.shape[3], 4)


def pictures(
    images: Tensor,
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    zoom: int | None = None,
) -> Figure:
    """A contact sheet of pictures (N, C, H, W).

    Args:
        images: uint8 or floating point in [0, 1].
        titles: one short line under each picture.
        columns: pictures in a row; as many as fit unless given.
        zoom: pixels of page per pixel of picture; chosen for pictures of about 64 pixels unless given.
    """
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"titles must have one entry per picture: {len(images)} wanted, got {len(titles)}")
    return _sheet(images, columns, zoom, titles, ())


def pairs(
    first: Tensor, second: Tensor, originals: Tensor | None = None, *, zoom: int | None = None
) -> Figure:
    """Two views of each picture below one another, under the originals where they are given: one column a picture."""
    rows = {"original": originals, "view 1": first, "view 2": second}
    shown = {
        name: to_float(images).expand(-1, 3, -1, -1) for name, images in rows.items() if images is not None
    }
    if len({len(images) for images in shown.values()}) > 1:
        counts = ", ".join(f"{name}: {len(images)}" for name, images in shown.items())
        raise ValueError(f"originals and views must be of the same pictures, got {counts}")
    return _sheet(torch.cat(list(shown.values())), len(first), zoom, None, tuple(shown))


@LOOK
def _sheet(
    images: Tensor,
    columns: int | None,
    zoom: int | None,
    titles: Sequence[str] | None,
    row_names: Sequence[str],
) -> Figure:
    if len(images) == 0:
        raise ValueError("images is empty: there is no picture to show")
    _, _, height, width = images.shape
    zoom = zoom or max(1, round(_CELL / max(height, width)))
    margin = 55 if row_names else 0
    columns = columns or min(len(images), max(1, (WIDEST - margin) // ((width + GAP) * zoom)))
    below = -(-_LINE // zoom) if titles is not None else 0
    sheet = mosaic(images, columns, below=below)
    page = sheet.shape[1] * zoom, sheet.shape[0] * zoom
    fig = figure(page[0] + margin, page[1])
    ax = bare(fig.add_axes((0, 0, 1, 1)))
    ax.imshow(sheet, extent=(margin, margin + page[0], page[1], 0), interpolation="nearest", aspect="auto")
    ax.set(xlim=(0, page[0] + margin), ylim=(page[1], 0))  # data units are pixels of page
    pitch = (width + GAP) * zoom, (height + GAP + below) * zoom
    for i, title in enumerate(titles or ()):
        x, y = margin + (i % columns) * pitch[0], (i // columns) * pitch[1]
        fits = int(pitch[0] / 5.5)  # characters of this size, about
        short = title if len(title) <= fits else title[: fits - 1].rstrip() + "…"
        ax.text(x + width * zoom / 2, y + height * zoom + 2, short, ha="center", va="top", fontsize=7.5)
    for i, name in enumerate(row_names):
        ax.text(margin - 6, i * pitch[1] + height * zoom / 2, name, ha="right", va="center")
    return fig
