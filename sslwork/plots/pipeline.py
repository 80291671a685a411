"""Few labels, step by step: what each step of the recipe is worth, and what a student hears from its teacher."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from sslwork import checks
from sslwork.plots.sheets import to_pixels
from sslwork.plots.style import BAD, FAINT, LOOK, PALETTE, Figure, bare, figure

_TEACHER, _STUDENT = PALETTE[4], PALETTE[0]


@LOOK
def pipeline(
    steps: Mapping[str, Sequence[float]],
    places: Tensor,
    teacher: Tensor,
    student: Tensor,
    images: Tensor,
    chosen: int,
    *,
    temperature: float = 1.0,
) -> Figure:
    """Accuracy after each step; a map of pictures by the teacher's confidence; probabilities for one of them.

    Args:
        steps: name -> accuracy in % of each seed.
        places: (N, 2), where the teacher sees the pictures.
        teacher, student: logits (N, C).
        images: (N, 1 or 3, H, W), uint8 or in [0, 1].
        chosen: row of the picture to look at.
        temperature: of the probabilities shown, > 0.
    """
    checks.pair(teacher, student, ("teacher", "student"), rows=1)
    checks.positive(temperature, "temperature")
    if not 0 <= chosen < len(teacher) == len(places) == len(images):
        raise ValueError(f"chosen must be a row of {len(teacher)} pictures, each with a place; got {chosen}")
    fig = figure(880, 270)
    bars, plane, shares = (
        fig.add_axes(box)
        for box in ((0.19, 0.16, 0.2, 0.72), (0.41, 0.22, 0.28, 0.66), (0.75, 0.16, 0.24, 0.72))
    )
    for row, values in enumerate(steps.values()):
        bars.barh(row, sum(values) / len(values), color=FAINT)
        bars.plot(values, [row] * len(values), "o", color=PALETTE[0], markersize=4, alpha=0.7)
    bars.set_yticks(range(len(steps)), list(steps))
    bars.set(title="accuracy on new pictures, %", xlim=(0, 100), ylim=(len(steps) - 0.4, -0.6))
    confidence = teacher.softmax(1).amax(1)
    points = plane.scatter(
        places[:, 0], places[:, 1], c=confidence, cmap="viridis", vmin=0, vmax=1, s=16, linewidths=0
    )
    plane.plot(*places[chosen], "o", markersize=11, markerfacecolor="none", markeredgecolor=BAD)
    bare(plane).set_title("as the teacher sees them")
    fig.colorbar(
        points, cax=fig.add_axes((0.43, 0.17, 0.24, 0.025)), orientation="horizontal", label="its confidence"
    )
    classes = np.arange(teacher.shape[1])
    for logits, colour, name, side in (
        (teacher, _TEACHER, "teacher", -0.2),
        (student, _STUDENT, "student", 0.2),
    ):
        shown = (logits[chosen] / temperature).softmax(0).numpy()
        shares.bar(classes + side, shown, width=0.4, color=colour, label=name)
    shares.set_xticks(classes)
    shares.set(title=f"what they say, at temperature {temperature:.2g}", ylim=(0, 1.45), yticks=(0, 0.5, 1))
    shares.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0))
    picture = bare(fig.add_axes((0.93, 0.66, 0.06, 0.22)))
    picture.imshow(to_pixels(images[chosen : chosen + 1])[0], interpolation="nearest")
    return fig
