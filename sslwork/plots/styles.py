"""Styles of pictures: where their channel statistics lie, and which of them a layer draws."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sslwork.plots.style import GREY, LINES, LOOK, Figure, figure


@LOOK
def styles(domains: Mapping[str, Tensor], drawn: Mapping[str, Tensor]) -> Figure:
    """One panel per layer that draws: styles of pictures as clouds in colour, its own draws as grey crosses.

    All panels show one plane: the two widest directions of the first domain and of all draws together.

    Args:
        domains: name -> styles (N, D) of pictures.
        drawn: name of the layer -> styles (M, D) which it drew.

    Raises:
        ValueError: nothing to show, or styles of several widths.
    """
    if not domains or not drawn:
        raise ValueError("give at least one domain and one set of draws")
    widths = {rows.shape[1] for rows in (*domains.values(), *drawn.values())}
    if len(widths) > 1:
        raise ValueError(f"all styles must have one width, got {sorted(widths)}")
    base = torch.cat([next(iter(domains.values())), *drawn.values()])
    mean = base.mean(0)
    plane = torch.linalg.svd(base - mean, full_matrices=False).Vh[:2].T  # (D, 2)
    fig = figure(840, 330)
    axes = fig.subplots(1, len(drawn), sharex=True, sharey=True, squeeze=False)[0]
    for ax, (layer, rows) in zip(axes, drawn.items(), strict=True):
        ax.scatter(
            *((rows - mean) @ plane).T.tolist(), s=14, marker="x", color=GREY, linewidths=0.7, alpha=0.5
        )
        for (name, cloud), colour in zip(domains.items(), LINES, strict=False):
            ax.scatter(*((cloud - mean) @ plane).T.tolist(), s=5, color=colour, alpha=0.7, label=name)
        ax.set(title=f"drawn by {layer} (crosses)", xticks=[], yticks=[])
    handles, names = axes[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="lower center", ncols=len(names), markerscale=2.5)
    fig.subplots_adjust(left=0.02, right=0.98, top=0.9, bottom=0.13, wspace=0.05)
    return fig
