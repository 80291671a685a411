"""Barlow Twins at work on its matrix: the columns of two views come to agree, and to tell nothing of each other."""

from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from sslwork.losses import columns
from sslwork.plots.correlation import correlation
from sslwork.plots.style import Figure
from sslwork.seeds import generator
from sslwork.threads import one_thread
from sslwork.widgets.dashboard import Dashboard, Picture, say
from sslwork.widgets.setting import Setting

_WIDTH, _ROWS = 64, 128  # of the features
_LAMBDAS = tuple(2.0**k for k in range(-2, 8))


class CorrelationLab(Dashboard):
    """A linear projector learns by Barlow Twins on fixed features, at settings and a time which sliders set.

    Feature k has a standard deviation in proportion to 1 / k. A view adds noise, the same to all of them, so that
    the strong features survive and the weak ones do not: columns which must differ have to take weak ones, too.

    Args:
        lambda_d: D times the weight of the entries off the diagonal; 1/4, 1/2, ... 128.
        dim: D, columns of the projection, 2 to 64.
        rows: N, samples, 4 to 128.
        strength: standard deviation of a view's noise, 0 to 2; that of the features is 1 on average.
        steps: of gradient descent (Adam).
        seed: of features, noise and the projector's start.

    All but the last two can be read and set, and so can `time`, and the columns `i` of view 1 and `j` of view 2 that
    are scattered. `pair` are the projections shown, `course` (steps + 1, 2) holds both parts of the loss, `floor` what
    their sum cannot fall below.
    """

    lambda_d = Setting[float](lambda lab: lab.controls["lambda_d"])
    dim = Setting[int](lambda lab: lab.controls["dim"])
    rows = Setting[int](lambda lab: lab.controls["rows"])
    strength = Setting[float](lambda lab: lab.controls["strength"])
    time = Setting[int](lambda lab: lab.clock)
    i = Setting[int](lambda lab: lab.boxes[0])
    j = Setting[int](lambda lab: lab.boxes[1])

    def __init__(
        self, lambda_d: float = 8.0, *, dim: int = 16, rows: int = 64, strength: float = 0.3, steps: int = 100,
        seed: int = 0,
    ) -> None:  # fmt: skip
        self._features = _features(seed)
        self._seed = seed
        look: dict[str, Any] = {
            "style": {"description_width": "90px"},
            "layout": widgets.Layout(width="400px"),
        }
        late = look | {"continuous_update": False}
        self.controls: dict[str, widgets.ValueWidget] = {
            "lambda_d": widgets.SelectionSlider(options=_LAMBDAS, description="λ × D", **late),
            "dim": widgets.IntSlider(min=2, max=_WIDTH, description="D, columns", **late),
            "rows": widgets.IntSlider(min=4, max=_ROWS, description="N, rows", **late),
            "strength": widgets.FloatSlider(min=0, max=2, step=0.05, description="view strength", **late),
        }
        self.clock = widgets.IntSlider(value=steps, min=0, max=steps, description="time", **look)
        self.boxes = [
            widgets.BoundedIntText(value=0, min=0, description=name, layout=widgets.Layout(width="150px"))
            for name in ("i, view 1", "j, view 2")
        ]
        self.words, self.picture = widgets.HTML(), Picture()
        sliders = list(self.controls.values())
        lines = [sliders[:2], sliders[2:], [self.clock, *self.boxes]]
        self.widget = widgets.VBox([*map(widgets.HBox, lines), self.words, self.picture])
        self.lambda_d, self.dim, self.rows, self.strength = lambda_d, dim, rows, strength
        for slider in sliders:
            slider.observe(self._learn, "value")
        for control in (self.clock, *self.boxes):
            control.observe(self._show, "value")
        self._learn()

    @property
    def pair(self) -> tuple[Tensor, Tensor]:
        """The projections of both views at this time, each (N, D)."""
        z1, z2 = self._views @ self._path[self.time]
        return z1, z2

    @property
    def off_diagonal(self) -> float:
        """The weight of an entry off the diagonal."""
        return self.lambda_d / self.dim

    @property
    def floor(self) -> float:
        return columns.floor(self.dim, self.rows, self.off_diagonal)

    @property
    def sentence(self) -> str:
        agree, differ = self.course[self.time].tolist()
        c = columns.cross_correlation(*self.pair)[self.i, self.j]
        most = self.rows - 1
        if self.dim > most:
            reach = f"D exceeds N - 1: C has rank {most} at most, and the loss cannot fall below {self.floor:.3g}."
        else:
            reach = f"D does not exceed N - 1 = {most}: no floor."
        return (
            f"λ × D {self.lambda_d:g}, D {self.dim}, N {self.rows}, view strength {self.strength:.2g}, time {self.time}: "
            f"loss {agree + differ:.3g}, of which the diagonal {agree:.3g} and the rest {differ:.3g}. {reach} "
            f"Column {self.i} of view 1 and column {self.j} of view 2 correlate at {c:.2f}."
        )

    def still(self) -> Figure:
        return correlation(*self.pair, self.course, self.time, floor=self.floor, cell=(self.i, self.j))

    def _learn(self, _: Any = None) -> None:
        features, noise = self._features
        self._views = (features + self.strength * noise)[:, : self.rows]  # (2, N, width)
        self._path, self.course = _descend(
            self._views, self.dim, self.off_diagonal, steps=self.clock.max, seed=self._seed
        )
        for box in self.boxes:
            box.max = self.dim - 1
        self._show()

    def _show(self, _: Any = None) -> None:
        self.words.value = say(self.sentence)
        self.picture.show(self.still())


def _features(seed: int) -> tuple[Tensor, Tensor]:
    """Fixed features (rows, width), and the noise of two views (2, rows, width)."""
    draw = generator(seed)
    scale = 1 / torch.arange(1.0, _WIDTH + 1)
    features = torch.randn(_ROWS, _WIDTH, generator=draw) * scale / scale.square().mean().sqrt()
    return features, torch.randn(2, _ROWS, _WIDTH, generator=draw)


def _descend(
    views: Tensor, dim: int, off_diagonal: float, *, steps: int, seed: int, rate: float = 0.05
) -> tuple[list[Tensor], Tensor]:
    """A linear projector under Barlow Twins: its weights (width, dim) at every step, and both parts of the loss."""
    start = torch.randn(views.shape[2], dim, generator=generator(seed, dim)) / views.shape[2] ** 0.5
    weight = start.requires_grad_()
    adam = torch.optim.Adam([weight], lr=rate)
    path, course = [], []
    with one_thread():
        for _ in range(steps + 1):
            c = columns.cross_correlation(*(views @ weight))
            parts = torch.stack([columns.invariance(c), off_diagonal * columns.redundancy(c)])
            path.append(weight.detach().clone())
            course.append(parts.detach())
            (weight.grad,) = torch.autograd.grad(parts.sum(), weight)
            adam.step()
    return path, torch.stack(course)
