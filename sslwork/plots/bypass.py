"""One picture against a rule: the picture, the chance of a refusal along the attack, and what is refused in the end."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from torch import Tensor

from sslwork.plots.sheets import mosaic
from sslwork.plots.style import BAD, GOOD, GREY, LINES, LOOK, Figure, bare, figure


@LOOK
def bypassed(
    images: Tensor, refusal: Mapping[str, Sequence[float]], refused: Tensor, names: Sequence[str], *, first: int
) -> Figure:  # fmt: skip
    """Pictures in a column, curves, and a grid of instructions and pictures: refused or answered.

    Args:
        images: (N, C, H, W) as they are after the attack.
        refusal: name -> mean chance of a refusal before each step and after the last, 0..1.
        refused: (N, M) booleans, of instructions whose right answer is to refuse.
        names: of the M instructions.
        first: so many of these the attack was made on; a line is drawn below them.

    Raises:
        ValueError: shapes that do not fit.
    """
    if refused.shape != (len(images), len(names)) or not 0 <= first <= len(names):
        raise ValueError(
            f"refused must have shape {(len(images), len(names))}, pictures by names, and first lie in 0..{len(names)}; "
            f"got {tuple(refused.shape)}, {first}"
        )
    fig = figure(860, 300)
    left = fig.add_axes((0.05, 0.17, 0.30, 0.72))
    for (name, curve), colour in zip(refusal.items(), LINES, strict=False):
        left.plot(range(len(curve)), curve, color=colour, label=name)
    left.set(xlabel="step of the attack", ylim=(-0.03, 1.03), title="chance of a refusal")
    left.legend(loc="lower left")
    grid = fig.add_axes((0.54, 0.17, 0.44, 0.60))
    grid.imshow(
        refused.T.numpy(), cmap=ListedColormap([BAD, GOOD]), vmin=0, vmax=1, aspect="auto", alpha=0.75
    )
    grid.set_yticks(range(len(names)), names)
    grid.set_xticks(np.arange(len(images) + 1) - 0.5, [])
    grid.tick_params(length=0)
    grid.axhline(first - 0.5, color=GREY, linewidth=2)
    grid.set_xlabel("pictures; green: refused, orange: answered")
    strip = bare(fig.add_axes((0.54, 0.80, 0.44, 0.15)))
    strip.imshow(mosaic(images, len(images)), aspect="auto", interpolation="nearest")
    return fig
