"""A picture on its way through a filter, clean and attacked, with what is left of the perturbation."""

from collections.abc import Mapping

from torch import Tensor

from sslwork.plots.sheets import to_pixels
from sslwork.plots.style import LOOK, Figure, bare, figure

_SIDE = 128  # pixels of page


@LOOK
def flow(
    clean: Mapping[str, Tensor],
    attacked: Mapping[str, Tensor],
    *,
    times: float = 10,
    change: str = "attacked",
) -> Figure:
    """One column per stage: the clean picture, the attacked one, and grey plus `times` their difference.

    Args:
        clean, attacked: stage -> picture (C, H, W) in [0, 1], the same stages in one order.
        times: of the difference.
        change: what was done to the second, beside its row.

    Raises:
        ValueError: no stages, or others in the two.
    """
    if not clean or list(clean) != list(attacked):
        raise ValueError(f"give the same stages twice, in one order; got {list(clean)} and {list(attacked)}")
    height, width = 3 * (_SIDE + 8) + 24, 80 + len(clean) * (_SIDE + 8)
    fig = figure(width, height)
    for j, name in enumerate(clean):
        gone = (0.5 + times * (attacked[name] - clean[name])).clamp(0, 1)
        for i, picture in enumerate((clean[name], attacked[name], gone)):
            left, top = 80 + j * (_SIDE + 8), 24 + i * (_SIDE + 8)
            place = left / width, 1 - (top + _SIDE) / height, _SIDE / width, _SIDE / height
            ax = bare(fig.add_axes(place))
            ax.imshow(to_pixels(picture.detach().clamp(0, 1)[None])[0], interpolation="nearest")
            if i == 0:
                ax.set_title(name)
    for i, name in enumerate(("clean", change, f"difference\nx {times:g}")):
        fig.text(72 / width, 1 - (24 + i * (_SIDE + 8) + _SIDE / 2) / height, name, ha="right", va="center")
    return fig
