"""The dilemma of the temperature, seen: what spreads points evenly tears classes apart."""

from typing import Any

import ipywidgets as widgets
from torch import Tensor

from sslwork import toys
from sslwork.measures.dilemma import Dilemma
from sslwork.plots.dilemma import sphere
from sslwork.plots.style import Figure
from sslwork.threads import one_thread
from sslwork.widgets.dashboard import Dashboard, Picture, say
from sslwork.widgets.setting import Setting
from sslwork.widgets.temperature import Temperature

_CURVE = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0)
_EVERY = 4  # steps from one measurement to the next


class SphereFlow:
    """Clusters on a sphere under the contrastive loss alone; a temperature is followed once, when first asked for."""

    about = "points on the sphere"

    def __init__(
        self,
        *,
        clusters: int = 6,
        per_cluster: int = 50,
        spread: float = 0.12,
        steps: int = 100,
        seed: int = 0,
    ) -> None:
        start, self.labels = toys.clusters_on_sphere(clusters, per_cluster, spread=spread, seed=seed)
        self._start, self.steps = start.float(), steps
        self._paths: dict[float, list[Tensor]] = {}
        self._traces: dict[float, list[Dilemma]] = {}

    @property
    def ends(self) -> dict[float, Dilemma]:
        """The last of each temperature that has been followed, and of seven that always are."""
        for temperature in _CURVE:
            self.at(temperature)
        return {temperature: trace[-1] for temperature, trace in self._traces.items()}

    def at(self, temperature: float) -> float:
        """Let the points flow at this temperature, and return it."""
        if temperature in self._traces:
            return temperature
        with one_thread():
            path = toys.contrastive_flow(self._start, temperature=temperature, steps=self.steps)
            trace = [Dilemma.of(points, self.labels) for points in path[::_EVERY]]
        self._paths[temperature], self._traces[temperature] = path, trace
        return temperature

    def points(self, temperature: float, time: int) -> Tensor:
        """The points (N, 3) after `time` steps."""
        return self._paths[self.at(temperature)][time]

    def clock(self) -> widgets.IntSlider:
        """A slider over the steps, at their end."""
        return widgets.IntSlider(
            value=self.steps, min=0, max=self.steps, step=_EVERY, description="time",
            layout=widgets.Layout(width="400px"),
        )  # fmt: skip

    def sentence(self, temperature: float, time: int) -> str:
        now = self._traces[self.at(temperature)][time // _EVERY]
        return (
            f"Temperature {temperature:.2g}, time {time}: uniformity {now.uniformity:.2f} (lower is more even), "
            f"tolerance {now.tolerance:.2f} (1: each class in one point)."
        )

    def still(self, temperature: float, time: int) -> Figure:
        points, trace = self.points(temperature, time), self._traces[temperature]
        return sphere(points, self.labels, trace, time // _EVERY, self.ends, temperature)


class SphereToy(Temperature, Dashboard):
    """Clusters on a sphere under the contrastive loss alone, at a temperature and a time which sliders set.

    Args:
        temperature: 0.02 to 2.
        clusters, per_cluster, spread, seed: see `toys.clusters_on_sphere`.
        steps: of the flow.

    `temperature` and `time` can be read and set; `points` are those shown, `flow` keeps all that were computed.
    """

    time = Setting[int](lambda toy: toy.clock)

    def __init__(
        self, temperature: float = 0.2, *, clusters: int = 6, per_cluster: int = 50, spread: float = 0.12,
        steps: int = 100, seed: int = 0,
    ) -> None:  # fmt: skip
        self.flow = SphereFlow(
            clusters=clusters, per_cluster=per_cluster, spread=spread, steps=steps, seed=seed
        )
        self._make_slider("toy temperature")
        self.clock = self.flow.clock()
        self.words, self.picture = widgets.HTML(), Picture()
        self.widget = widgets.VBox([widgets.HBox([self.slider, self.clock]), self.words, self.picture])
        self.temperature = temperature
        self.slider.observe(self._moved, "value")
        self.clock.observe(self._moved, "value")
        self._moved()

    @property
    def points(self) -> Tensor:
        """The points shown, (N, 3)."""
        return self.flow.points(self.temperature, self.time)

    @property
    def sentence(self) -> str:
        return self.flow.sentence(self.temperature, self.time)

    def still(self) -> Figure:
        return self.flow.still(self.temperature, self.time)

    def _moved(self, _: Any = None) -> None:
        self.words.value = say(self.sentence)
        self.picture.show(self.still())
