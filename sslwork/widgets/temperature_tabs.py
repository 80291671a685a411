"""The tabs of the temperature lab: each has its controls, says in words what there is to see, and draws it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import ipywidgets as widgets
import torch
from torch import Tensor

from sslwork import checks
from sslwork.data.pictures import PictureSet
from sslwork.measures import Pushes
from sslwork.measures.dilemma import Dilemma
from sslwork.plots.dilemma import traced
from sslwork.plots.individual import individual
from sslwork.plots.pushes import pushes
from sslwork.plots.style import Figure
from sslwork.widgets.sphere_toy import SphereFlow

EVERY, OWN = "every class", "the anchor's own"


class Tab(ABC):
    """A page of the lab: pure functions of the temperature and of its own controls."""

    title: str
    controls: Sequence[widgets.Widget]

    @abstractmethod
    def sentence(self, temperature: float) -> str:
        """What there is to see, in words."""

    @abstractmethod
    def still(self, temperature: float) -> Figure:
        """What there is to see, as a figure."""


class AnchorTab(Tab):
    """Pull and push on one picture; `alpha` drops easy negatives, `only` looks at the negatives of one class."""

    title = "one anchor"

    def __init__(self, units: Tensor, positives: Tensor | None, pictures: PictureSet) -> None:
        self._units, self._positives, self._pictures = units, positives, pictures
        self.anchor = widgets.BoundedIntText(
            value=0, min=0, max=len(units) - 1, description="anchor", layout=widgets.Layout(width="160px")
        )
        self.alpha = widgets.FloatSlider(
            value=1.0, min=0.01, max=1.0, step=0.01, description="alpha", continuous_update=False,
            layout=widgets.Layout(width="290px"), tooltip="share of the negatives kept, the hardest",
        )  # fmt: skip
        kinds = [OWN, *sorted(set(pictures.class_of))] if pictures.labels is not None else []
        self.only = widgets.Dropdown(
            options=[EVERY, *kinds], description="show", layout=widgets.Layout(width="260px")
        )
        self.controls = self.anchor, self.alpha, self.only

    def push(self, temperature: float) -> Pushes:
        return Pushes.of(self._units, self._positives, self.anchor.value, temperature, self.alpha.value)

    @property
    def _class(self) -> int:
        """The class looked at: the anchor's, unless another is chosen."""
        assert self._pictures.labels is not None
        named = self.only.value not in (EVERY, OWN)
        row = self._pictures.class_of.index(self.only.value) if named else self.anchor.value
        return int(self._pictures.labels[row])

    def sentence(self, temperature: float) -> str:
        push = self.push(temperature)
        n, m = push.taking(0.9), len(push.rows)
        said = f"At temperature {temperature:.2g}, {n} of {m} negatives {'takes' if n == 1 else 'take'} 90 % of the push."
        if push.kept < m:
            said += f" Hard selection keeps {push.kept}."
        if self._pictures.labels is not None:
            among = self._pictures.labels[push.rows] == self._class
            share, count = float(push.share[among].sum()), int(among.sum())
            whose = (
                "the anchor's own class" if self.only.value in (EVERY, OWN) else f"class {self.only.value}"
            )
            said += f" {100 * share:.3g} % of it falls on {whose}, {count} of the negatives ({100 * count / m:.3g} %)."
        return said

    def still(self, temperature: float) -> Figure:
        only = None if self.only.value == EVERY else self._class
        return pushes(self.push(temperature), self._pictures.images, self._pictures.labels, only=only)


class Source(Protocol):
    """Something measured at several temperatures."""

    about: str

    @property
    def ends(self) -> Mapping[float, Dilemma]: ...

    def at(self, temperature: float) -> float:
        """The key of `ends` that stands for this temperature."""


class DilemmaTab(Tab):
    """The curve of uniformity and tolerance of one of several sources, red where the slider has been."""

    title = "the dilemma"

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources
        self._visited: dict[str, set[float]] = {name: set() for name in sources}
        self.source = widgets.Dropdown(
            options=list(sources), description="measured on", style={"description_width": "initial"}
        )
        self.controls = (self.source,)

    def sentence(self, temperature: float) -> str:
        source = self._sources[self.source.value]
        t = source.at(temperature)
        end = source.ends[t]
        return (
            f"{source.about.capitalize()}, temperature {t:.2g}: uniformity {end.uniformity:.2f} (lower is more even). Mean "
            f"similarity {end.tolerance:.2f} within a class (tolerance), {end.different:.2f} between classes."
        )

    def still(self, temperature: float) -> Figure:
        source, visited = self._sources[self.source.value], self._visited[self.source.value]
        t = source.at(temperature)
        visited.add(t)
        return traced(source.ends, visited, t, about=source.about)


class IndividualTab(Tab):
    """The temperature of each picture, for a `rho`: how far its push may be from even, as KL in nats."""

    title = "own temperatures"

    def __init__(
        self, given: Mapping[float, Tensor] | Callable[[float], Tensor], pictures: PictureSet
    ) -> None:
        self._given, self._pictures = given, pictures
        self._known: dict[float, Tensor] = {}
        if isinstance(given, Mapping):
            if not given:
                raise ValueError("individual is empty: give temperatures of the pictures, one (N,) per rho")
            self.rho = widgets.SelectionSlider(
                options=sorted(given), description="rho", continuous_update=False
            )
        else:
            self.rho = widgets.FloatSlider(
                value=0.3, min=0.05, max=1.5, step=0.05, description="rho", continuous_update=False
            )
        self.controls = (self.rho,)
        self.temperatures()

    def temperatures(self) -> Tensor:
        """Of each picture at the rho of now, (N,)."""
        rho = self.rho.value
        if rho not in self._known:
            found = self._given[rho] if isinstance(self._given, Mapping) else self._given(rho)
            values = torch.as_tensor(found).detach().double().cpu()
            if values.shape != (len(self._pictures),):
                raise ValueError(
                    f"individual must give one temperature per picture: {len(self._pictures)} wanted, "
                    f"got shape {tuple(values.shape)} at rho {rho}"
                )
            for end in values.aminmax():  # NaN comes through
                checks.positive(float(end), f"a temperature of individual at rho {rho}")
            self._known[rho] = values
        return self._known[rho]

    def sentence(self, temperature: float) -> str:
        values = self.temperatures()
        low, middle, high = (float(values.quantile(q)) for q in (0, 0.5, 1))
        hotter = 100 * float((values > temperature).double().mean())
        return (
            f"At rho {self.rho.value:.2g} temperatures run from {low:.2g} to {high:.2g}, the median is {middle:.2g}; "
            f"{hotter:.0f} % are above {temperature:.2g}, the one for all."
        )

    def still(self, temperature: float) -> Figure:
        pictures = self._pictures
        return individual(self.temperatures(), pictures.images, pictures.group_of, shared=temperature)


class SphereTab(Tab):
    """The sphere toy, at the temperature of the lab."""

    title = "sphere toy"

    def __init__(self, flow: SphereFlow) -> None:
        self._flow = flow
        self.time = flow.clock()
        self.controls = (self.time,)

    def sentence(self, temperature: float) -> str:
        return self._flow.sentence(temperature, self.time.value)

    def still(self, temperature: float) -> Figure:
        return self._flow.still(temperature, self.time.value)
