"""How strong may a view be? A slider for each change, on the same random draw."""

from dataclasses import asdict, replace
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from sslwork import plots
from sslwork.data.pictures import PictureSet
from sslwork.plots.style import Figure
from sslwork.seeds import generator
from sslwork.views import LIMITS, Views
from sslwork.widgets.dashboard import Dashboard, Picture

_MEANS = {
    "crop": "largest share of the area cut away",
    "flip": "chance of a mirror image",
    "rotate": "largest turn to either side, degrees",
    "brightness": "largest change of the brightness",
    "contrast": "largest change of the contrast",
    "saturation": "largest change of the saturation",
    "hue": "largest turn of the colour circle",
    "grey": "chance of losing all colour",
    "noise": "largest standard deviation of pixel noise",
    "cutout": "side of the square erased",
}


class ViewsLab(Dashboard):
    """Originals and two views of each, while the strengths of the views are moved.

    Args:
        pictures: a picture set, or a tensor (N, C, H, W).
        views: where the sliders start.
        seed: of the pictures chosen and of the first draw.
        n: pictures shown.

    `views` is the set of strengths at present, the overall strength included; set it to move the sliders. `strength`
    multiplies all of them. The random draw stays while sliders move; `new_draw()` makes another.
    """

    def __init__(
        self, pictures: PictureSet | Tensor, views: Views | None = None, *, seed: int = 0, n: int = 8
    ) -> None:
        images = pictures.images if isinstance(pictures, PictureSet) else pictures
        if not 1 <= n <= len(images):
            raise ValueError(f"n must lie in 1..{len(images)}, the pictures there are; got {n}")
        self.originals = images[torch.randperm(len(images), generator=generator(seed))[:n]]
        self._generator = generator(seed, 1)
        style, layout = {"description_width": "75px"}, widgets.Layout(width="270px")
        self.sliders = {
            name: widgets.FloatSlider(
                value=0, min=0, max=limit, step=1 if limit > 1 else 0.01, description=name, style=style, layout=layout,
                readout_format=".0f" if limit > 10 else ".2f", tooltip=_MEANS[name],
            )
            for name, limit in LIMITS.items()
        }  # fmt: skip
        self.overall = widgets.FloatSlider(
            value=1, min=0, max=2, step=0.05, description="all, times", style=style, layout=layout
        )
        button = widgets.Button(description="new draw", icon="refresh", tooltip="other random numbers")
        button.on_click(lambda _: self.new_draw())
        self.picture = Picture()
        every = list(self.sliders.values())
        rows = [[self.overall, button], every[:3], every[3:6], every[6:8], every[8:]]
        self.widget = widgets.VBox([*(widgets.HBox(row) for row in rows), self.picture])
        self._quiet = False
        self.views = views or Views()
        for slider in (self.overall, *self.sliders.values()):
            slider.observe(self._moved, "value")
        self.new_draw()

    @property
    def views(self) -> Views:
        return Views(**{name: slider.value for name, slider in self.sliders.items()}) * self.overall.value

    @views.setter
    def views(self, views: Views) -> None:
        self._quiet = True  # draw once, not ten times
        self.overall.value = 1
        for name, value in asdict(views).items():
            self.sliders[name].value = value
        self._quiet = False
        self._moved()

    @property
    def strength(self) -> float:
        return self.overall.value

    @strength.setter
    def strength(self, value: float) -> None:
        self.overall.value = value

    def new_draw(self) -> None:
        """Other random numbers at the same strengths."""
        every = replace(self.views, noise=1.0, cutout=0.5)  # drawn even while their sliders are at 0
        self._drawn = [every.draw(self.originals, self._generator) for _ in range(2)]
        self._moved()

    def pair(self) -> tuple[Tensor, Tensor]:
        """The two views shown, (n, C, H, W) in [0, 1]."""
        first, second = (self.views.apply(self.originals, drawn) for drawn in self._drawn)
        return first, second

    @property
    def sentence(self) -> str:
        strengths = ", ".join(f"{name} {value:.3g}" for name, value in asdict(self.views).items() if value)
        return f"{len(self.originals)} pictures, each with two random views. Strengths: {strengths or 'all zero'}."

    def still(self) -> Figure:
        return plots.pairs(*self.pair(), self.originals)

    def _moved(self, _: Any = None) -> None:
        if not self._quiet and hasattr(self, "_drawn"):
            self.picture.show(self.still())
