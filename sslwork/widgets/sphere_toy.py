"""The dilemma of the temperature, seen: what spreads points evenly tears classes apart."""

from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from sslwork import measures, toys
from sslwork.plots.dilemma import dilemma
from sslwork.plots.style import Figure
from sslwork.widgets.dashboard import Dashboard, Picture, say
from sslwork.widgets.temperature import Temperature

_CURVE = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0)
_EVERY = 4  # steps from one measurement to the next


class SphereToy(Temperature, Dashboard):
    """Clusters on a sphere under the contrastive loss alone, at a temperature and a time which sliders set.

    Args:
        temperature: 0.02 to 2.
        clusters, per_cluster, spread, seed: see `toys.clusters_on_sphere`.
        steps: of the flow.

    `temperature` and `time` can be read and set; `points` are those shown, `ends` maps every temperature visited to
    its last (uniformity, tolerance).
    """

    def __init__(
        self, temperature: float = 0.2, *, clusters: int = 6, per_cluster: int = 50, spread: float = 0.12,
        steps: int = 100, seed: int = 0,
    ) -> None:  # fmt: skip
        start, self.labels = toys.clusters_on_sphere(clusters, per_cluster, spread=spread, seed=seed)
        self._start, self._steps = start.float(), steps
        self._paths: dict[float, list[Tensor]] = {}
        self._traces: dict[float, list[tuple[float, float]]] = {}
        self.ends: dict[float, tuple[float, float]] = {}
        for each in _CURVE:
            self._follow(each)
        self._make_slider("toy temperature")
        self.clock = widgets.IntSlider(
            value=steps,
            min=0,
            max=steps,
            step=_EVERY,
            description="time",
            layout=widgets.Layout(width="400px"),
        )
        self.words, self.picture = widgets.HTML(), Picture()
        self.widget = widgets.VBox([widgets.HBox([self.slider, self.clock]), self.words, self.picture])
        self.temperature = temperature
        self.slider.observe(self._moved, "value")
        self.clock.observe(self._moved, "value")
        self._moved()

    @property
    def time(self) -> int:
        return self.clock.value

    @time.setter
    def time(self, value: int) -> None:
        if not 0 <= value <= self._steps:
            raise ValueError(f"time must lie in 0..{self._steps}, got {value}")
        self.clock.value = value

    @property
    def points(self) -> Tensor:
        """The points shown, (N, 3)."""
        self._follow(self.temperature)
        return self._paths[self.temperature][self.time]

    @property
    def sentence(self) -> str:
        self._follow(self.temperature)
        even, together = self._traces[self.temperature][self.time // _EVERY]
        return (
            f"Temperature {self.temperature:.2g}, time {self.time}: uniformity {even:.2f} (lower is more even), "
            f"tolerance {together:.2f} (1: each class in one point)."
        )

    def still(self) -> Figure:
        points = self.points
        trace = self._traces[self.temperature]
        return dilemma(points, self.labels, trace, self.time // _EVERY, self.ends, self.temperature)

    def _follow(self, temperature: float) -> None:
        """Let the points flow at this temperature, once."""
        if temperature in self._paths:
            return
        # On matrices as small as these, threads cost more than they give: on busy cores up to 40 times.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            path = toys.contrastive_flow(self._start, temperature=temperature, steps=self._steps)
            trace = [(measures.uniformity(u), measures.tolerance(u, self.labels)) for u in path[::_EVERY]]
        finally:
            torch.set_num_threads(threads)
        self._paths[temperature], self._traces[temperature], self.ends[temperature] = path, trace, trace[-1]

    def _moved(self, _: Any = None) -> None:
        self.words.value = say(self.sentence)
        self.picture.show(self.still())
