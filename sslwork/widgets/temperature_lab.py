"""What the temperature does: to one picture, to a cloud of points, to encoders trained with it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import ipywidgets as widgets
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.data.pictures import PictureSet
from sslwork.measures import Pushes
from sslwork.plots.style import Figure
from sslwork.widgets.dashboard import Dashboard, Picture, say
from sslwork.widgets.setting import Setting
from sslwork.widgets.sphere_toy import SphereFlow
from sslwork.widgets.temperature import Temperature
from sslwork.widgets.temperature_tabs import AnchorTab, DilemmaTab, IndividualTab, Source, SphereTab, Tab
from sslwork.widgets.trained_grid import MapsTab, TrainedGrid


class TemperatureLab(Temperature, Dashboard):
    """One temperature on a slider, over tabs; only the tab in front is drawn.

    Args:
        features: embeddings (N, D) of `pictures`, after the head, where the loss works.
        pictures: the picture set of these rows.
        positives: embeddings (N, D) of another view of each; without them the positive is the anchor itself.
        temperature: 0.02 to 2.
        anchor: row of the picture looked at.
        encoders: {temperature: embeddings (N, D) of the same pictures by an encoder trained at it}.
        individual: {rho: temperatures (N,) of the pictures}, or a function from rho to them.
        toy: whether there is a tab with points on a sphere.

    Tabs are "anchor", "dilemma", "individual", "toy" and "maps", as far as there is something to show. `tab`,
    `temperature`, and what the tabs have controls for can be read and set: `anchor`, `alpha`, `only`; `source`; `rho`;
    `time`. `push` holds similarities, shares and `push.entropy`; `temperatures` those of the pictures.
    """

    anchor = Setting[int](lambda lab: lab._of("anchor").anchor)
    alpha = Setting[float](lambda lab: lab._of("anchor").alpha)
    only = Setting[str](lambda lab: lab._of("anchor").only)
    source = Setting[str](lambda lab: lab._of("dilemma").source)
    rho = Setting[float](lambda lab: lab._of("individual").rho)
    time = Setting[int](lambda lab: lab._of("toy").time)

    def __init__(
        self, features: Tensor, pictures: PictureSet, positives: Tensor | None = None, *,
        temperature: float = 0.2, anchor: int = 0, encoders: Mapping[float, Tensor] | None = None,
        individual: Mapping[float, Tensor] | Callable[[float], Tensor] | None = None, toy: bool = True,
    ) -> None:  # fmt: skip
        checks.embeddings(features, "features", rows=3)
        if len(features) != len(pictures):
            raise ValueError(
                f"features must have one row per picture: {len(pictures)} wanted, got {len(features)}"
            )
        if positives is not None:
            checks.pair(features, positives, ("features", "positives"))
            positives = F.normalize(positives.detach().double().cpu(), dim=1)
        units = F.normalize(features.detach().double().cpu(), dim=1)
        self._tabs: dict[str, Tab] = {"anchor": AnchorTab(units, positives, pictures)}
        sources: dict[str, Source] = {}
        if encoders is not None:
            sources["encoders"] = grid = TrainedGrid(encoders, pictures)
        if toy:
            sources["toy"] = flow = SphereFlow()
        if sources:
            self._tabs["dilemma"] = DilemmaTab(sources)
        if individual is not None:
            self._tabs["individual"] = IndividualTab(individual, pictures)
        if toy:
            self._tabs["toy"] = SphereTab(flow)
        if encoders is not None:
            self._tabs["maps"] = MapsTab(grid, done=self._unfolded)
        self._make_slider("temperature")
        self.words, self.picture = widgets.HTML(), Picture()
        self.tabs = widgets.Tab(
            children=[widgets.HBox(tab.controls) for tab in self._tabs.values()],
            titles=[tab.title for tab in self._tabs.values()],
            selected_index=0,
            layout=widgets.Layout(margin="0"),
        )
        # One picture for all tabs: a move draws what is in front, and nothing else.
        self.widget = widgets.VBox(
            [self.slider, self.tabs, self.words, self.picture], layout=widgets.Layout(max_width="880px")
        )
        self.temperature, self.anchor = temperature, anchor
        self.slider.observe(self._moved, "value")
        self.tabs.observe(self._moved, "selected_index")
        for name, tab in self._tabs.items():
            for control in tab.controls:
                control.observe(partial(self._changed, name), "value")
        self._moved()

    def _of(self, tab: str) -> Any:
        if tab not in self._tabs:
            needs = {
                "individual": "individual=",
                "maps": "encoders=",
                "toy": "toy=True",
                "dilemma": "encoders= or toy=True",
            }
            raise AttributeError(f"this lab has no tab {tab!r}: make it with {needs[tab]}")
        return self._tabs[tab]

    @property
    def tab(self) -> str:
        """The tab in front."""
        return list(self._tabs)[self.tabs.selected_index or 0]

    @tab.setter
    def tab(self, name: str) -> None:
        if name not in self._tabs:
            raise ValueError(f"tab must be one of {', '.join(map(repr, self._tabs))}; got {name!r}")
        self.tabs.selected_index = list(self._tabs).index(name)

    @property
    def push(self) -> Pushes:
        return self._of("anchor").push(self.temperature)

    @property
    def temperatures(self) -> Tensor:
        """Of each picture at the `rho` of now, (N,)."""
        return self._of("individual").temperatures()

    def wait(self) -> None:
        """Return when the maps are laid out by UMAP, and let the saved output show it.

        Raises:
            RuntimeError: UMAP failed; the cause is chained.
        """
        self._of("maps").unfolding.wait()
        self._unfolded()

    @property
    def sentence(self) -> str:
        return self._tabs[self.tab].sentence(self.temperature)

    def still(self) -> Figure:
        return self._tabs[self.tab].still(self.temperature)

    def _unfolded(self) -> None:
        if self.tab == "maps":
            self._moved()
            self.keep()

    def _changed(self, tab: str, _: Any) -> None:
        if tab == self.tab:
            self._moved()

    def _moved(self, _: Any = None) -> None:
        self.words.value = say(self.sentence)
        self.picture.show(self.still())
