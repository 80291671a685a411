"""The temperature on a slider: one scale and one pair of bounds for every dashboard that has one."""

import math

import ipywidgets as widgets

COLDEST, HOTTEST = 0.02, 2.0


class Temperature:
    """Gives a dashboard `slider`, and `temperature`, which can be read and set."""

    slider: widgets.FloatLogSlider

    def _make_slider(self, description: str) -> widgets.FloatLogSlider:
        """Redrawing takes longer than a frame, so it waits for the mouse to let go."""
        self.slider = widgets.FloatLogSlider(
            value=0.2, base=10, min=math.log10(COLDEST), max=math.log10(HOTTEST), step=0.02, description=description,
            continuous_update=False, readout_format=".2f", style={"description_width": "110px"},
            layout=widgets.Layout(width="440px"),
        )  # fmt: skip
        return self.slider

    @property
    def temperature(self) -> float:
        return self.slider.value

    @temperature.setter
    def temperature(self, value: float) -> None:
        if not COLDEST <= value <= HOTTEST:
            raise ValueError(f"temperature must lie in {COLDEST}..{HOTTEST:g}, got {value}")
        self.slider.value = value
