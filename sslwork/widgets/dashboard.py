"""The base of every dashboard: live controls, and a still picture with a sentence for those who read it later."""

import base64
import html
from abc import ABC, abstractmethod
from typing import Any

import ipywidgets as widgets
from IPython import get_ipython
from IPython.display import DisplayHandle, display

from sslwork.plots.style import BAD, GOOD, WARN, Figure, png, quantised, size

# Symbol and colour of a verdict on collapse, by its state.
SIGNS = {"healthy": ("✓", GOOD), "dimensional": ("▲", WARN), "collapsed": ("✗", BAD)}

# Stored notebooks keep no widget state, so the still is what a reader without a kernel sees. While a live sibling
# stands before it in the same cell, it hides; where there is none, the message there, "model not found", hides.
_CELL, _ROOT = ".jp-OutputArea-child", ".jp-OutputArea-output.jupyter-widgets"
_HIDE = (
    f"<style>{_CELL}:has(.sslwork-live)~{_CELL} .sslwork-still{{display:none}}"
    f"{_CELL}:has({_ROOT}):not(:has(.sslwork-live)):has(+{_CELL} .sslwork-still){{display:none}}</style>"
)
_ASLEEP = "(Run this cell to bring the controls to life.)"


class Dashboard(ABC):
    """Shows `widget` and leaves `still()` with `sentence` in the saved output."""

    widget: widgets.Box
    _handle: DisplayHandle | None = None

    @property
    @abstractmethod
    def sentence(self) -> str:
        """What there is to see, in words."""

    @abstractmethod
    def still(self) -> Figure:
        """What there is to see, as one figure."""

    def _ipython_display_(self) -> None:
        if get_ipython() is None:  # a plain script has nowhere to show it
            return
        self.widget.add_class("sslwork-live")
        live = self.widget._repr_mimebundle_() or {}
        display(live | {"text/plain": _ASLEEP}, raw=True)
        self._handle = DisplayHandle()
        self._handle.display(self._bundle(), raw=True)

    def keep(self) -> None:
        """Let the saved output show the state of now."""
        if self._handle is not None:
            self._handle.update(self._bundle(), raw=True)

    def _bundle(self) -> dict[str, Any]:
        fig = self.still()
        data = base64.b64encode(quantised(png(fig))).decode()
        alt, width = html.escape(self.sentence, quote=True), size(fig)[0]
        picture = (
            f'<img src="data:image/png;base64,{data}" alt="{alt}" width="{width}" style="max-width:100%">'
        )
        return {
            "image/png": data,
            "text/plain": self.sentence,
            "text/html": f'{_HIDE}<div class="sslwork-still">{picture}<div>{alt} <i>{_ASLEEP}</i></div></div>',
        }


class Picture(widgets.Image):
    """A figure as a PNG of its own size on the page; `show` replaces it.

    It can have no alternative text (ipywidgets 8 has no trait for one, and a tooltip on an image raises in the
    browser), so a dashboard says in words beside it what it shows.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(format="png", **options)

    def show(self, fig: Figure) -> None:
        width = size(fig)[0]
        self.layout.width, self.layout.max_width, self.layout.height = f"{width}px", "100%", "auto"
        self.value = png(fig)


def say(text: str, *, symbol: str = "", colour: str = "inherit") -> str:
    """Text as HTML for a `widgets.HTML`, with a symbol and a coloured bar before it."""
    bar = f"border-left: 4px solid {colour}; padding-left: 8px;" if colour != "inherit" else ""
    mark = f"<b>{symbol}</b> " if symbol else ""
    return f'<div style="line-height: 1.4; {bar}">{mark}{html.escape(text)}</div>'
