"""Any picture under sliders: a function that draws, and what may be moved in it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from sslwork.plots.style import Figure
from sslwork.widgets.dashboard import Dashboard, Picture, say

# What a control starts from: (low, high, value), with whole numbers for a whole-number slider; words: a list of choices,
# the first of which is chosen, or a tuple, the stops of a slider, which starts at the last; True or False.
Control = Sequence[float | str] | bool


class Sliders(Dashboard):
    """Redraws `draw(**values)` whenever a control is let go.

    Args:
        draw: gets one keyword per control; returns a figure and a sentence that says what there is to see.
        log: names of the sliders on a logarithmic scale; one of whole numbers has about sixty of them to stop at.
        controls: name -> (low, high, value), a list of choices, a tuple of words in order (the stops of a slider, at
            the last of which it starts), or True or False. `_` in a name shows as a space.

    `values` can be read; `set(name=value)` moves controls, as the mouse does.

    >>> from sslwork.plots.style import figure
    >>> lab = Sliders(lambda temperature, detach: (figure(300, 200), f"{temperature:.1f}, {detach}"),
    ...               temperature=(0.1, 2.0, 0.5), detach=True)
    >>> lab.set(temperature=1.5)
    >>> lab.sentence
    '1.5, True'
    """

    def __init__(
        self, draw: Callable[..., tuple[Figure, str]], *, log: Sequence[str] = (), **controls: Control
    ) -> None:
        self._draw, self._quiet = draw, False
        self.controls = {name: _control(name, spec, name in log) for name, spec in controls.items()}
        self.words, self.picture = widgets.HTML(), Picture()
        row = widgets.Layout(display="flex", flex_flow="row wrap")
        self.widget = widgets.VBox(
            [widgets.Box(list(self.controls.values()), layout=row), self.words, self.picture]
        )
        for control in self.controls.values():
            control.observe(self._moved, "value")
        self._moved()

    @property
    def values(self) -> dict[str, Any]:
        return {name: control.value for name, control in self.controls.items()}

    def set(self, **values: Any) -> None:
        """Move controls to these values, and draw once."""
        for name, value in values.items():
            if name not in self.controls:
                raise ValueError(f"no control {name!r}; there are {list(self.controls)}")
            control = self.controls[name]
            low, high = getattr(control, "min", None), getattr(control, "max", None)
            if isinstance(control, widgets.FloatLogSlider):
                low, high = control.base**control.min, control.base**control.max
            if low is not None and high is not None and not low - 1e-9 <= value <= high + 1e-9:
                raise ValueError(f"{name} must lie in {low:g}..{high:g}, got {value}")
            if (
                isinstance(control, widgets.Dropdown | widgets.SelectionSlider)
                and value not in control.options
            ):
                raise ValueError(f"{name} must be one of {list(control.options)}, got {value!r}")
        self._quiet = True
        try:
            for name, value in values.items():
                self.controls[name].value = value
        finally:
            self._quiet = False
        self._moved()

    @property
    def sentence(self) -> str:
        return self._draw(**self.values)[1]

    def still(self) -> Figure:
        return self._draw(**self.values)[0]

    def _moved(self, _: Any = None) -> None:
        if not self._quiet:
            fig, sentence = self._draw(**self.values)
            self.words.value = say(sentence)
            self.picture.show(fig)


def _control(name: str, spec: Control, log: bool) -> widgets.Widget:
    options: Mapping[str, Any] = {
        "description": name.replace("_", " "),
        "style": {"description_width": "120px"},
        "layout": widgets.Layout(width="400px"),
    }
    if isinstance(spec, bool):
        return widgets.Checkbox(value=spec, **options)
    choices = [each for each in spec if isinstance(each, str)]
    if choices and isinstance(spec, tuple):
        return widgets.SelectionSlider(options=choices, value=choices[-1], continuous_update=False, **options)
    if choices:
        return widgets.Dropdown(options=choices, **options)
    low, high, value = (each for each in spec if not isinstance(each, str))
    whole = all(isinstance(each, int) for each in spec)
    if whole and log:
        stops = {round(low * (high / low) ** (i / 60)) for i in range(61)} | {value}
        return widgets.SelectionSlider(options=sorted(stops), value=value, continuous_update=False, **options)
    if whole:
        return widgets.IntSlider(value=value, min=low, max=high, continuous_update=False, **options)
    if log:
        return widgets.FloatLogSlider(
            value=value, base=10, min=math.log10(low), max=math.log10(high), step=0.02, continuous_update=False,
            readout_format=".3g", **options,
        )  # fmt: skip
    return widgets.FloatSlider(
        value=value, min=low, max=high, step=(high - low) / 100, continuous_update=False, readout_format=".2f",
        **options,
    )  # fmt: skip
