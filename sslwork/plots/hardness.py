"""One anchor of the contrastive loss over all temperatures: who is pushed, by how many, and both limits of the loss."""

import math

import torch
from torch import Tensor

from sslwork.measures import relative_penalty, relative_penalty_entropy
from sslwork.plots.style import BAD, FAINT, GOOD, GREY, LOOK, PALETTE, Figure, figure


@LOOK
def hardness(positive: float, negatives: Tensor, *, shown: tuple[float, ...] = (0.05, 0.2, 1.0)) -> Figure:
    """Shares of the push, entropy of the push, and temperature times loss, for one anchor.

    Args:
        positive: cosine of the anchor and its positive.
        negatives: cosines of the anchor and its negatives, (M,).
        shown: temperatures whose shares are drawn.
    """
    if negatives.ndim != 1 or len(negatives) < 2:
        raise ValueError(f"negatives must hold two cosines or more, (M,); got {tuple(negatives.shape)}")
    s = negatives.double().sort(descending=True).values
    temperatures = torch.logspace(-2, 1.5, 120, dtype=torch.double).tolist()
    fig = figure(840, 250)
    shares, entropy, limits = fig.subplots(1, 3)
    fig.subplots_adjust(left=0.06, right=0.98, bottom=0.19, top=0.87, wspace=0.25)
    for temperature, colour in zip(shown, (PALETTE[4], PALETTE[6], BAD), strict=False):
        share = relative_penalty(s, temperature=temperature)
        shares.plot(s, len(s) * share, "o-", color=colour, markersize=3, label=f"τ = {temperature:g}")
    shares.axhline(1, color=GREY, linewidth=0.8)
    shares.set(yscale="log", ylim=(1e-2, 2 * len(s)), xlabel="similarity of the negative")
    shares.set_title("push on it, × equal share")
    shares.legend(loc="upper left")
    entropy.plot(
        temperatures, [float(relative_penalty_entropy(s, temperature=t)) for t in temperatures], color=BAD
    )
    entropy.axhline(math.log(len(s)), color=GREY, linewidth=1, linestyle=":")
    entropy.set(xscale="log", xlabel="temperature τ", ylim=(-0.1, 1.1 * math.log(len(s))))
    entropy.set_title(f"entropy of the push (dotted: log {len(s)})")
    every = torch.cat([torch.tensor([positive], dtype=s.dtype), s])
    loss = [t * (float((every / t).logsumexp(0)) - positive / t) for t in temperatures]
    even = [t * math.log(len(every)) + float(every.mean()) - positive for t in temperatures]
    limits.axhline(max(float(s[0]) - positive, 0), color=PALETTE[4], linestyle="--", label="hardest alone")
    limits.plot(temperatures, even, color=GOOD, linestyle="--", label="all alike + τ log N")
    limits.plot(temperatures, loss, color=BAD, label="τ × loss")
    limits.set(xscale="log", xlabel="temperature τ", ylim=(-0.1, 2 * loss[60] + 1), xlim=(0.01, 10))
    limits.set_title("τ × loss between its limits")
    limits.legend(loc="upper left")
    for ax in (shares, entropy, limits):
        ax.grid(color=FAINT, linewidth=0.5)
    return fig
