"""A dashboard's attribute that is one of its controls: read and set from Python, within the control's bounds."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import ipywidgets as widgets

T = TypeVar("T")


class Setting(Generic[T]):
    """Reads the value of a control, and sets it; what the control does not offer is refused in words.

    Args:
        control: finds the control in the dashboard.

    >>> class Board:
    ...     def __init__(self):
    ...         self.slider = widgets.IntSlider(min=0, max=5)
    ...
    ...     time = Setting[int](lambda board: board.slider)
    >>> board = Board()
    >>> board.time = 6
    Traceback (most recent call last):
    ValueError: time must lie in 0..5, got 6
    """

    def __init__(self, control: Callable[[Any], widgets.ValueWidget]) -> None:
        self._control = control

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, board: Any, owner: type | None = None) -> T:
        return self._control(board).value

    def __set__(self, board: Any, value: T) -> None:
        control: Any = self._control(board)
        if hasattr(control, "options"):
            if value not in control.options:
                offered = ", ".join(map(repr, control.options))
                raise ValueError(f"{self._name} must be one of {offered}; got {value!r}")
        elif hasattr(control, "min") and not control.min <= value <= control.max:
            raise ValueError(f"{self._name} must lie in {control.min:g}..{control.max:g}, got {value}")
        control.value = value
