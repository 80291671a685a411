"""What the temperature does to one picture: who is pushed away from it, and how hard."""

from typing import Any

import ipywidgets as widgets
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.data.pictures import PictureSet
from sslwork.measures import Pushes
from sslwork.plots.pushes import pushes
from sslwork.plots.style import Figure
from sslwork.widgets.dashboard import Dashboard, Picture, say
from sslwork.widgets.temperature import Temperature


class TemperatureLab(Temperature, Dashboard):
    """Pull and push on one anchor, at a temperature which a slider sets.

    Args:
        features: embeddings (N, D) of `pictures`, after the head, where the loss works.
        pictures: the picture set of these rows.
        positives: embeddings (N, D) of another view of each; without them the positive is the anchor itself.
        temperature: 0.02 to 2.
        anchor: row of the picture looked at.

    `temperature` and `anchor` can be read and set; `push` holds similarities, shares and `push.entropy`.
    """

    def __init__(
        self, features: Tensor, pictures: PictureSet, positives: Tensor | None = None, *,
        temperature: float = 0.2, anchor: int = 0,
    ) -> None:  # fmt: skip
        checks.embeddings(features, "features", rows=3)
        if len(features) != len(pictures):
            raise ValueError(
                f"features must have one row per picture: {len(pictures)} wanted, got {len(features)}"
            )
        if positives is not None:
            checks.pair(features, positives, ("features", "positives"))
            positives = F.normalize(positives.double().cpu(), dim=1)
        self.pictures, self._positives = pictures, positives
        self._units = F.normalize(features.double().cpu(), dim=1)
        self._make_slider("temperature")
        self.anchors = widgets.BoundedIntText(
            value=0, min=0, max=len(features) - 1, description="anchor", layout=widgets.Layout(width="160px")
        )
        self.words, self.picture = widgets.HTML(), Picture()
        row = widgets.HBox([self.slider, self.anchors])
        self.widget = widgets.VBox([row, self.words, self.picture])
        self.temperature, self.anchor = temperature, anchor
        self.slider.observe(self._moved, "value")
        self.anchors.observe(self._moved, "value")
        self._moved()

    @property
    def anchor(self) -> int:
        return self.anchors.value

    @anchor.setter
    def anchor(self, row: int) -> None:
        if not 0 <= row < len(self.pictures):
            raise ValueError(f"anchor must lie in 0..{len(self.pictures) - 1}, got {row}")
        self.anchors.value = row

    @property
    def push(self) -> Pushes:
        return Pushes.of(self._units, self._positives, self.anchor, self.temperature)

    @property
    def sentence(self) -> str:
        push = self.push
        n, m = push.taking(0.9), len(push.rows)
        takes = "takes" if n == 1 else "take"
        return f"At temperature {push.temperature:.2g}, {n} of {m} negatives {takes} 90 % of the push."

    def still(self) -> Figure:
        return pushes(self.push, self.pictures.images, self.pictures.labels)

    def _moved(self, _: Any = None) -> None:
        self.words.value = say(self.sentence)
        self.picture.show(self.still())
