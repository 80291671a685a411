"""Who is given weight in adversarial training, what a barrier does to the search, and which classes gain."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from sslwork.plots.arms import Measured
from sslwork.plots.style import BAD, FAINT, GREY, LINES, LOOK, PALETTE, Figure, bare, figure


@LOOK
def weights(images: Tensor, labels: Tensor, names: Sequence[str], factors: Tensor) -> Figure:
    """How the weights are spread, which classes have them, and the ten pictures with the largest.

    Args:
        images: (N, C, H, W) in [0, 1]. labels: (N,), each with a name in `names`.
        factors: (N,) weights, 1 for an even share.

    Raises:
        ValueError: fewer than 10 pictures, or not one weight for each.
    """
    if len(images) < 10 or factors.shape != (len(images),):
        raise ValueError(
            f"10 pictures or more and a weight for each, got {len(images)}, {tuple(factors.shape)}"
        )
    fig = figure(840, 320)
    left, right = fig.add_axes((0.05, 0.46, 0.4, 0.46)), fig.add_axes((0.53, 0.46, 0.45, 0.46))
    low, high = min(0.1, float(factors.min().clamp(min=1e-3))), max(10.0, float(factors.max()))
    left.hist(factors.clamp(min=1e-3).numpy(), bins=np.geomspace(low, high, 40).tolist(), color=PALETTE[0])
    left.set(xscale="log", xlabel="weight (1: an even share)", title="pictures")
    left.axvline(1, color=GREY, linewidth=0.8)
    share, held = (
        np.bincount(labels.numpy(), weights=each, minlength=len(names))
        for each in (np.ones(len(labels)), factors.numpy())
    )
    right.bar(range(len(names)), 100 * held / held.sum(), color=PALETTE[0], width=0.7)
    right.plot(range(len(names)), 100 * share / share.sum(), "_", color=GREY, markersize=16)
    right.set_xticks(range(len(names)), names)
    right.set(title="% of the weight, by class (strokes: % of the pictures)")
    for place, i in enumerate(factors.argsort(descending=True)[:10]):
        ax = bare(fig.add_axes((0.02 + 0.097 * place, 0.02, 0.085, 0.22)))
        ax.imshow(images[i].permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1)
        ax.set_title(f"{names[int(labels[i])]}: {factors[i]:.3g}", fontsize=8)
    return fig


@LOOK
def barrier(slope: float, half: float, c: float, best: float) -> Figure:
    """What the search climbs along one pixel: the loss, a straight line, less a price that has no end at the rim."""
    fig = figure(640, 250)
    ax = fig.add_axes((0.13, 0.19, 0.84, 0.75))
    s = half * np.linspace(-0.9995, 0.9995, 600)
    price = c * (np.log1p(-s / half) + np.log1p(s / half))
    ax.plot(s, slope * s, color=GREY, linestyle=":", label="the loss alone")
    ax.plot(s, slope * s + price, color=PALETTE[4], label="loss and barrier")
    top = slope * best + c * (np.log1p(-best / half) + np.log1p(best / half))
    ax.plot(best, top, "o", color=BAD, markersize=8, label="delta*")
    for side in (-half, half):
        ax.axvline(side, color=FAINT, linewidth=2)
    reach = max(abs(slope) * half, 1e-9)
    ax.set(xlabel="delta", ylabel="nats", xlim=(-1.06 * half, 1.06 * half), ylim=(-2.5 * reach, 1.4 * reach))
    ax.legend(loc="lower center")
    return fig


@LOOK
def classes(study: Measured, measure: str, arms: Sequence[str], names: Sequence[str]) -> Figure:
    """A measure class by class, the arms side by side: bars are means over seeds, dots the seeds.

    Args:
        study: see `studies.Study`.
        measure: of one number per class.

    Raises:
        ValueError: no arms.
    """
    if not arms:
        raise ValueError("arms is empty: name at least one")
    fig = figure(840, 260)
    ax = fig.add_axes((0.06, 0.12, 0.93, 0.72))
    width = 0.8 / len(arms)
    for i, (arm, colour) in enumerate(zip(arms, LINES * len(arms), strict=False)):
        seeds = np.array(study.values(arm, measure))  # (seeds, classes)
        places = np.arange(seeds.shape[1]) + (i - (len(arms) - 1) / 2) * width
        ax.bar(places, seeds.mean(0), 0.9 * width, color=colour, alpha=0.75, label=arm)
        ax.plot(np.tile(places, (len(seeds), 1)), seeds, ".", color=GREY, markersize=3.5)
    ax.set_xticks(range(len(names)), names)
    ax.set(ylabel="%")
    fig.legend(loc="upper left", ncols=4, bbox_to_anchor=(0.05, 1.01))
    return fig
