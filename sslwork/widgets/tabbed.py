"""Several dashboards behind tabs."""

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from sslwork.plots.style import Figure
from sslwork.widgets.dashboard import Dashboard


class Tabbed(Dashboard):
    """Each dashboard is a tab of its own; the one in front is what a saved notebook shows.

    Args:
        dashboards: title -> dashboard.

    `tab` can be read and set; `lab["title"]` is the dashboard behind it.
    """

    def __init__(self, dashboards: Mapping[str, Dashboard]) -> None:
        if not dashboards:
            raise ValueError("give at least one dashboard")
        self._dashboards = dict(dashboards)
        self.tabs = widgets.Tab(
            children=[each.widget for each in dashboards.values()], titles=list(dashboards), selected_index=0
        )
        self.widget = widgets.VBox([self.tabs], layout=widgets.Layout(max_width="880px"))

    def __getitem__(self, title: str) -> Any:
        if title not in self._dashboards:
            raise KeyError(f"no tab {title!r}; there are {list(self._dashboards)}")
        return self._dashboards[title]

    @property
    def tab(self) -> str:
        """The tab in front."""
        return list(self._dashboards)[self.tabs.selected_index or 0]

    @tab.setter
    def tab(self, title: str) -> None:
        self[title]  # refuses a title that is not there
        self.tabs.selected_index = list(self._dashboards).index(title)

    @property
    def sentence(self) -> str:
        return self[self.tab].sentence

    def still(self) -> Figure:
        return self[self.tab].still()
