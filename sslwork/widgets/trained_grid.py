"""Encoders trained at several temperatures, measured on the same pictures, and their maps."""

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
from torch import Tensor

from sslwork import checks, measures, plots
from sslwork.data.pictures import PictureSet
from sslwork.measures.dilemma import Dilemma
from sslwork.plots.style import Figure
from sslwork.plots.trained import trained
from sslwork.widgets.temperature_tabs import Tab
from sslwork.widgets.unfolding import Unfolding


class TrainedGrid:
    """What encoders trained at several temperatures make of the same pictures.

    Args:
        encoders: {temperature: embeddings (N, D)}.
        pictures: the picture set of the rows, with labels.
    """

    about = "trained encoders"

    def __init__(self, encoders: Mapping[float, Tensor], pictures: PictureSet) -> None:
        if not encoders:
            raise ValueError("encoders is empty: give embeddings of the pictures, one per temperature")
        self.labels = checks.labels(pictures.labels, len(pictures), "pictures.labels")
        self.kinds = pictures.group_of
        for temperature, z in encoders.items():
            checks.positive(temperature, "a temperature of encoders")
            checks.embeddings(z, f"encoders[{temperature}]", rows=4)
            if len(z) != len(pictures):
                raise ValueError(
                    f"encoders[{temperature}] must have one row per picture: {len(pictures)} wanted, got {len(z)}"
                )
        self.encoders = {float(t): encoders[t].detach().float().cpu() for t in sorted(encoders)}

    def at(self, temperature: float) -> float:
        """The temperature at which an encoder was trained that is nearest to this one, by their ratio."""
        return min(self.encoders, key=lambda trained: abs(np.log(trained / temperature)))

    @cached_property
    def ends(self) -> dict[float, Dilemma]:
        return {t: Dilemma.of(z, self.labels) for t, z in self.encoders.items()}

    @cached_property
    def hits(self) -> dict[float, float]:
        """Share of pictures whose ten nearest neighbours among the others vote for their class."""
        k = min(10, len(self.labels) - 1)
        return {
            t: float((measures.knn_margin(z, self.labels, k=k) > 0).double().mean())
            for t, z in self.encoders.items()
        }


class MapsTab(Tab):
    """The map of the encoder whose temperature is nearest; maps are so laid out that they follow one another.

    Args:
        grid: the encoders.
        done: called in the main thread once UMAP has taken the place of PCA; it starts with the first drawing.
    """

    title = "trained encoders"

    def __init__(self, grid: TrainedGrid, done: Callable[[], None]) -> None:
        self._grid = grid
        self._steps = dict(enumerate(grid.encoders.values()))  # `following` asks for whole numbers
        maps = plots.following(self._steps, maps=len(self._steps))
        self.unfolding = Unfolding(maps, self._steps, take=self._take, done=done)
        self.controls = (self.unfolding.news,)

    @cached_property
    def layouts(self) -> list[np.ndarray]:
        """A map (N, 2) in [-1, 1] per encoder, coldest first."""
        shadows = plots.follow(self._steps, method="pca", maps=len(self._steps))
        return [_framed(shadows[step]) for step in self._steps]

    def _take(self, step: int, xy: np.ndarray) -> None:
        self.layouts[step] = _framed(xy)

    def sentence(self, temperature: float) -> str:
        t = self._grid.at(temperature)
        step = list(self._grid.encoders).index(t)
        by, end = "PCA" if step in self.unfolding.missing else "UMAP", self._grid.ends[t]
        return (
            f"Trained at temperature {t:.2g}, laid out by {by}: {100 * self._grid.hits[t]:.0f} % k-NN hits, uniformity "
            f"{end.uniformity:.2f}, similarity {end.tolerance:.2f} within and {end.different:.2f} between classes."
        )

    def still(self, temperature: float) -> Figure:
        grid, t = self._grid, self._grid.at(temperature)
        xy = self.layouts[list(grid.encoders).index(t)]
        self.unfolding.start()
        return trained(xy, grid.kinds, grid.hits, grid.ends, t)


def _framed(xy: np.ndarray) -> np.ndarray:
    """Centred, and scaled to lie within [-1, 1]: PCA's units are the features', UMAP's are its own."""
    centred = xy - xy.mean(0)
    return centred / max(float(np.abs(centred).max()), 1e-12)
