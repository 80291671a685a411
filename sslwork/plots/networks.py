"""Methods without negatives, drawn: what stands on either side of the loss, and where no gradient passes."""

from matplotlib.axes import Axes

from sslwork.plots.style import BAD, GREY, LOOK, PALETTE, Figure, bare, figure

# Name -> boxes over view 1, boxes over view 2, whether gradients stop on the side of view 2, and the loss.
_NETS: dict[str, tuple[list[str], list[str], bool, str]] = {
    "SimSiam": (["encoder", "head", "predictor"], ["encoder", "head"], True, "− cosine"),
    "BYOL": (["encoder", "head", "predictor"], ["twin of encoder", "twin of head"], True, "squared distance"),
    "VICReg": (["encoder", "head"], ["encoder", "head"], False, "distance + variance + covariance"),
    "Barlow Twins": (["encoder", "head"], ["encoder", "head"], False, "correlation → identity"),
}
_STEP = 0.2  # from one box up to the next


@LOOK
def networks() -> Figure:
    """SimSiam, BYOL, VICReg and Barlow Twins side by side; data goes up, gradients come down."""
    fig = figure(860, 250)
    for ax, (name, (left, right, stops, loss)) in zip(
        fig.subplots(1, len(_NETS)), _NETS.items(), strict=True
    ):
        bare(ax).set(xlim=(0, 1), ylim=(0, 1), title=name)
        ax.text(0.5, 0.93, loss, ha="center", va="center")
        for x, view, boxes in ((0.24, 1, left), (0.76, 2, right)):
            _branch(ax, x, f"view {view}", boxes)
        if stops:
            bar = 0.21 + _STEP * len(right)
            ax.plot([0.66, 0.86], [bar, bar], color=BAD, linewidth=2.5)
            ax.text(0.73, bar + 0.05, "no gradient", ha="right", va="center", color=BAD, fontsize=7.5)
    fig.subplots_adjust(left=0.005, right=0.995, bottom=0.02, top=0.91, wspace=0.06)
    return fig


def _branch(ax: Axes, x: float, view: str, boxes: list[str]) -> None:
    """A column of boxes over its view, and arrows up to the loss. What shares weights has one colour."""
    ax.text(x, 0.05, view, ha="center", va="center")
    for place, box in enumerate(boxes, 1):
        colour = PALETTE[0] if box.startswith("twin") else PALETTE[2] if box == "predictor" else PALETTE[1]
        ax.text(x, 0.05 + _STEP * place, box, ha="center", va="center", fontsize=7.5,
                bbox={"boxstyle": "round", "facecolor": "none", "edgecolor": colour, "linewidth": 1.4})  # fmt: skip
    for place in range(len(boxes) + 1):
        end = 0.88 if place == len(boxes) else 0.05 + _STEP * (place + 1) - 0.06
        ax.annotate(
            "", (x, end), (x, 0.05 + _STEP * place + 0.06), arrowprops={"arrowstyle": "->", "color": GREY}
        )
