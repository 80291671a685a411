"""How much of its pull NT-Xent lets through: the factor q, as a law and as it is found in batches."""

from collections.abc import Mapping

import torch
from matplotlib.axes import Axes
from torch import Tensor

from sslwork.measures.coupling import coupling_of
from sslwork.plots.style import BAD, FAINT, GOOD, GREY, LOOK, PALETTE, Figure, figure

FADED = 0.1  # below this share of DCL's pull NT-Xent hardly moves
_BATCHES = (8, 32, 128, 512)


@LOOK
def coupling_law(positive: float, negative: float, pictures: int, temperature: float) -> Figure:
    """q against the positive's similarity, and the pull of both losses against the temperature.

    Args:
        positive, negative: cosine similarities of the anchor to its positive and to every negative.
        pictures: N >= 2, in the batch.
        temperature: > 0.
    """
    fig = figure(840, 270)
    left, right = fig.subplots(1, 2)
    fig.subplots_adjust(left=0.065, right=0.985, bottom=0.17, top=0.88, wspace=0.2)
    similarity, low = torch.linspace(-1, 1, 201), torch.tensor(negative)
    for n in {*_BATCHES, pictures}:
        now = n == pictures
        q = coupling_of(similarity, low, pictures=n, temperature=temperature)
        left.plot(similarity, q, color=PALETTE[4] if now else FAINT, label=f"N = {n}" if now else None)
    here = float(coupling_of(torch.tensor(positive), low, pictures=pictures, temperature=temperature))
    left.plot(positive, here, "o", color=PALETTE[4], markersize=7)
    left.axhspan(0, FADED, color=BAD, alpha=0.15)
    left.text(-0.98, FADED / 2, "NT-Xent hardly pulls", va="center", color=BAD, fontsize=7.5)
    left.set(xlabel="similarity of the positive", xlim=(-1, 1), ylim=(0, 1.03))
    left.set_title("q, the share of the pull that NT-Xent lets through")
    left.legend(title="grey: N = 8, 32, 128, 512", loc="best")
    _pulls(right, positive, negative, pictures, temperature)
    return fig


def _pulls(ax: Axes, positive: float, negative: float, pictures: int, temperature: float) -> None:
    """|dL / d positive| of both losses; colder pulls harder, until q takes it all away."""
    taus = torch.logspace(-1.7, 0.3, 120)
    pair = torch.tensor(positive), torch.tensor(negative)
    q = torch.stack([coupling_of(*pair, pictures=pictures, temperature=float(t)) for t in taus])
    ax.plot(taus, 1 / taus, color=GOOD, label="DCL: 1 / temperature")
    ax.plot(taus, q / taus, color=BAD, label="NT-Xent: q / temperature")
    ax.axvline(temperature, color=GREY, linewidth=0.8)
    ax.set(xscale="log", yscale="log", ylim=(0.01, 60), xlabel="temperature")
    ax.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ax.set_title("pull on the positive")
    ax.legend(loc="lower right")


@LOOK
def couplings(panels: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Histograms of q as found in batches: one panel per question, one row per case, a stroke at the mean.

    Args:
        panels: title -> case -> q of many anchors, in 0..1.
    """
    if not panels or not all(panels.values()):
        raise ValueError("panels must hold at least one case each: {title: {case: q of the anchors}}")
    most = max(map(len, panels.values()))
    fig = figure(840, 70 + 42 * most)
    axes = fig.subplots(1, len(panels), squeeze=False)[0]
    fig.subplots_adjust(
        left=0.10, right=0.985, bottom=40 / (70 + 42 * most), top=1 - 24 / (70 + 42 * most), wspace=0.3
    )
    for ax, (title, cases) in zip(axes, panels.items(), strict=True):
        means = [float(q.mean()) for q in cases.values()]
        for row, (q, mean) in enumerate(zip(cases.values(), means, strict=True)):
            height = torch.histc(q.float(), 40, 0, 1)
            steps, edges = row + 0.85 * height / height.max(), torch.linspace(0, 1, 41)
            ax.stairs(steps.numpy(), edges.numpy(), baseline=row, fill=True, color=PALETTE[4], alpha=0.6)
            ax.plot([mean, mean], [row, row + 0.85], color=PALETTE[0])
        ax.set(title=title, xlim=(0, 1), ylim=(-0.05, len(cases)), xlabel="q", yticks=range(len(cases)))
        labels = [f"{case}\nmean {mean:.2f}" for case, mean in zip(cases, means, strict=True)]
        ax.set_yticklabels(labels, va="bottom")
        ax.tick_params(axis="y", length=0)
    return fig
