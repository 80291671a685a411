"""Training while it runs: how far, how fast, and is it well?"""

import html
import time

import ipywidgets as widgets

from sslwork import plots
from sslwork.plots.style import GREY, Figure
from sslwork.run import Run
from sslwork.widgets.dashboard import SIGNS, Dashboard, Picture, say

_SHARE = 0.08  # of the time may go into drawing
_TICK = 0.25  # seconds between two moves of the bar


class LiveTraining(Dashboard):
    """Hand it to `train.fit(..., show=LiveTraining("SimCLR"))`: it shows itself at the first call.

    `run` is the run last shown; `draws` counts how often the panels were drawn.
    """

    def __init__(self, title: str = "Training") -> None:
        self.title, self.draws = title, 0
        self.run: Run | None = None
        self.bar = widgets.IntProgress(min=0, max=1, layout=widgets.Layout(width="260px"))
        self.status, self.verdict = widgets.HTML(), widgets.HTML()
        self.picture = Picture()
        head = widgets.HBox(
            [widgets.HTML(f"<b>{html.escape(title)}</b>"), self.bar, self.status],
            layout=widgets.Layout(grid_gap="12px"),
        )
        self.widget = widgets.VBox([head, self.verdict, self.picture])
        self._looks, self._drawing, self._last, self._moved = -1, 0.0, 0.0, 0.0
        self._started = time.perf_counter()

    def __call__(self, run: Run) -> None:
        """Show the run as it stands; called after each step, so it must be quick unless there is news."""
        first, now = self.run is None, time.perf_counter()
        self.run = run
        if first or run.done or now - self._moved > _TICK:
            self._moved = now
            self._move_bar(run)
        if first:
            self._started = now
        news = len(run.history) != self._looks or (run.done and not run.history)
        if first or run.done or (news and self._drawing + self._last < _SHARE * (now - self._started)):
            self._looks = len(run.history)
            self._draw(run)
            if first:
                self._ipython_display_()
            self._last = time.perf_counter() - now
            self._drawing += 0 if first else self._last  # the first waits for fonts, once

    def _move_bar(self, run: Run) -> None:
        self.bar.max, self.bar.value = run.steps, run.step
        parts = [f"step {run.step:,} of {run.steps:,}"]
        if run.step:
            parts.append(f"{run.pictures_per_second:,.0f} pictures/s")
            parts.append(
                f"{run.seconds:.0f} s in all"
                if run.done
                else f"{run.seconds / run.step * (run.steps - run.step):.0f} s left"
            )
        self.status.value = "&nbsp; ".join(parts)
        self.bar.bar_style = "success" if run.done else ""

    def _draw(self, run: Run) -> None:
        self.draws += 1
        symbol, colour = ("○", GREY)
        if run.reading is not None and run.step:
            symbol, colour = SIGNS[run.reading.verdict.state]
        self.verdict.value = say(self.judgement, symbol=symbol, colour=colour)
        self.picture.show(self.still())
        self.keep()

    @property
    def judgement(self) -> str:
        """The panel's verdict; before the first step there is none, for a fresh network tells pictures hardly apart."""
        if self.run is None or not self.run.step:
            return "Before training: a fresh network gives nearly every picture the same embedding."
        if self.run.reading is None:
            return "No panel was given, so there is no verdict: a falling loss alone does not show that it is well."
        return str(self.run.reading.verdict)

    @property
    def sentence(self) -> str:
        if self.run is None:
            return f"{self.title}: not started."
        parts = [f"{self.title}, step {self.run.step} of {self.run.steps}."]
        if self.run.history and "knn" in self.run.history[-1]:
            parts.append(f"k-NN accuracy {self.run.history[-1]['knn']:.1%}.")
        return " ".join([*parts, self.judgement])

    def still(self) -> Figure:
        if self.run is None:
            raise RuntimeError("nothing to show yet: hand this to train.fit(..., show=...)")
        return plots.training(self.run)
