"""Over how many directions do embeddings spread, and what does the head do to them? Any set of runs, at any step."""

import html
from collections.abc import Iterable, Mapping
from typing import Any

import ipywidgets as widgets

from sslwork.measures.collapse import Verdict, through_head
from sslwork.plots.ranks import ranks, run_colours
from sslwork.plots.style import GREY, Figure
from sslwork.record import Record, Recorded
from sslwork.widgets.dashboard import SIGNS, Dashboard, Picture, say

_NUMBERS = ("rankme", "spread", "rank_before", "spread_before")
_SPECTRA = ("embedding", "representation", "deviation", "deviation_before")


class RankLab(Dashboard):
    """Spectra, spread and rank of runs before and after the head, at a step which a slider sets.

    Args:
        runs: named runs which had a panel, finished or not, or records of such (see `Record`). They are read once:
            a run that has gone on needs a new lab.

    `step`, `chosen` (names of the runs shown) and `closely` (one of them) can be read and set; `verdicts` says of
    each run shown, before and after the head, what it found.
    """

    def __init__(self, runs: Mapping[str, Recorded]) -> None:
        if not runs:
            raise ValueError('runs is empty: give named runs, {"SimCLR": run}')
        self.records = {str(name): _checked(str(name), run) for name, run in runs.items()}
        self.colours = run_colours(list(self.records))
        steps = sorted({step for record in self.records.values() for step in record.spectra})
        self.steps = widgets.SelectionSlider(
            options=steps, value=steps[-1], description="step", continuous_update=False,
            layout=widgets.Layout(width="400px"),
        )  # fmt: skip
        self.menu = widgets.Dropdown(
            options=list(self.records), description="look closely at", style={"description_width": "100px"},
            layout=widgets.Layout(width="300px"),
        )  # fmt: skip
        self.boxes = {name: self._box(name) for name in self.records}
        self.words = widgets.HTML(layout=widgets.Layout(max_height="76px", overflow="auto"))
        self.picture = Picture()
        row = widgets.Layout(flex_flow="row wrap", grid_gap="0 14px", max_height="62px", overflow="auto")
        self.widget = widgets.VBox(
            [
                widgets.HBox([self.steps, self.menu]),
                widgets.HBox(list(self.boxes.values()), layout=row),
                self.words,
                self.picture,
            ],
            layout=widgets.Layout(max_width="900px"),
        )
        self._quiet = False
        for control in (self.steps, *self.boxes.values()):
            control.observe(self._moved, "value")
        self.menu.observe(self._looked, "value")
        self._moved()

    def _box(self, name: str) -> widgets.Checkbox:
        dot = f'<b style="color:{self.colours[name]}">●</b> {html.escape(name)}'
        return widgets.Checkbox(
            value=True,
            description=dot,
            description_allow_html=True,
            indent=False,
            layout=widgets.Layout(width="auto"),
        )

    @property
    def step(self) -> int:
        return self.steps.value

    @step.setter
    def step(self, value: int) -> None:
        if value not in self.steps.options:
            raise ValueError(f"step must be one of {list(self.steps.options)}, got {value}")
        self.steps.value = value

    @property
    def chosen(self) -> tuple[str, ...]:
        return tuple(name for name, box in self.boxes.items() if box.value)

    @chosen.setter
    def chosen(self, names: Iterable[str]) -> None:
        wanted = {names} if isinstance(names, str) else set(names)
        if not wanted or wanted - self.boxes.keys():
            raise ValueError(f"chosen must be one or more of {list(self.boxes)}, got {sorted(wanted)}")
        self._quiet = True  # draw once, not once per box
        for name, box in self.boxes.items():
            box.value = name in wanted
        self._quiet = False
        self._moved()

    @property
    def closely(self) -> str:
        return self.menu.value

    @closely.setter
    def closely(self, name: str) -> None:
        if name not in self.boxes:
            raise ValueError(f"closely must be one of {list(self.boxes)}, got {name!r}")
        self.menu.value = name

    @property
    def verdicts(self) -> dict[str, tuple[Verdict, Verdict]]:
        """Before and after the head, of each run shown that had been looked at by this step."""
        looks = {name: self.records[name].at(self.step) for name in self.chosen}
        return {name: _verdicts(*look) for name, look in looks.items() if look}

    @property
    def sentence(self) -> str:
        if not self.chosen:
            return "No run is chosen."
        said = " ".join(f"{self._title(name)}: {through_head(*pair)}" for name, pair in self.verdicts.items())
        return f"Step {self.step}. {said}"

    def still(self) -> Figure:
        shown = {name: self.records[name] for name in self.chosen} or self.records
        return ranks(shown, self.step, closely=self.closely, colours=self.colours)

    def _looked(self, _: Any = None) -> None:
        self.chosen = (*self.chosen, self.closely)  # who is looked at closely must be seen

    def _moved(self, _: Any = None) -> None:
        if self._quiet:
            return
        self.words.value = "".join(map(self._line, self.chosen)) or say("Choose a run.")
        self.picture.show(self.still())

    def _line(self, name: str) -> str:
        if (pair := self.verdicts.get(name)) is None:
            return say(f"{name}: not looked at yet at step {self.step}.", symbol="○", colour=GREY)
        fresh = self.step == 0  # hardly any network tells pictures apart before it is trained
        symbol, colour = ("○", GREY) if fresh else SIGNS[pair[1].state]
        return say(f"{self._title(name)}: {through_head(*pair)}", symbol=symbol, colour=colour)

    def _title(self, name: str) -> str:
        """The run, and the step of its last look where that is an earlier one."""
        look = self.records[name].at(self.step)
        seen = look[0]["step"] if look else self.step
        return name if seen == self.step != 0 else f"{name} (step {seen})" if seen else f"{name} (untrained)"


def _verdicts(row: dict[str, Any], spectra: dict[str, list[float]]) -> tuple[Verdict, Verdict]:
    before = Verdict.of(row["spread_before"], row["rank_before"], len(spectra["representation"]))
    return before, Verdict.of(row["spread"], row["rankme"], len(spectra["embedding"]))


def _checked(name: str, run: Recorded) -> Record:
    """The record of a run that has all which the lab reads; else a clear error."""
    record = Record.of(run)
    if not record.spectra:
        raise ValueError(
            f"run {name!r} was never looked at: train it with a panel, train.fit(..., panel=Panel(pictures, test))"
        )
    for step in record.spectra:
        row, spectra = record.at(step) or ({}, {})
        if lacking := [*(set(_NUMBERS) - row.keys()), *(set(_SPECTRA) - spectra.keys())]:
            raise ValueError(
                f"run {name!r} lacks {sorted(lacking)} at step {step}: train it anew with this panel"
            )
    return record
