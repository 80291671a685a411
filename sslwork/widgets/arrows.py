"""Who is pushed, and how hard: the forces of several losses on the points of one scene, side by side."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from sslwork.plots.arrows import Scene, arrows
from sslwork.plots.style import Figure
from sslwork.seeds import generator
from sslwork.widgets.dashboard import Dashboard, Picture, say
from sslwork.widgets.setting import Setting
from sslwork.widgets.temperature import Temperature

Loss = Callable[..., Tensor]


def forces(loss: Loss, scene: Scene, **options: float) -> Scene:
    """Minus the gradient of a loss on each point of a scene, along the circle; zero on points it does not see.

    Args:
        loss: of anchor (1, 2), positives (P, 2) and negatives (M, 2), all of length one; a scalar.
        scene: the points.
        options: handed on to the loss.

    Raises:
        ValueError: the loss is no scalar, is not finite, or moves no point.
    """
    points = [part.detach().clone().requires_grad_() for part in scene]
    value = loss(*points, **options)
    if value.numel() != 1 or not torch.isfinite(value).all():
        raise ValueError(f"it must return one finite number, got {value.detach()}")
    if not value.requires_grad:
        raise ValueError("it has no gradient: does it detach all points?")
    gradients = torch.autograd.grad(value.sum(), points, allow_unused=True, materialize_grads=True)
    return Scene(*(_along(-g, u) for g, u in zip(gradients, scene, strict=True)))


def _along(force: Tensor, points: Tensor) -> Tensor:
    """The part of a force that moves points along the circle: length is none of the losses' business."""
    return force - (force * points).sum(1, keepdim=True) * points


class ForceArrows(Temperature, Dashboard):
    """An anchor, its positives and its negatives on a circle, with the arrows of each loss.

    Args:
        losses: {name: function of anchor (1, 2), positives (P, 2) and negatives (M, 2)}, one to eight. One with an
            argument `temperature` gets the slider's.
        positives, negatives: how many.
        temperature: 0.02 to 2.
        anchor: angle of the anchor, degrees.
        seed: of the places of the others, which stay.

    `temperature`, `anchor` and `one_scale` can be read and set; `scene` holds the points, `forces[name]` those on them.
    """

    anchor = Setting[int](lambda board: board.angle)
    one_scale = Setting[bool](lambda board: board.scale)

    def __init__(
        self, losses: Mapping[str, Loss], *, positives: int = 2, negatives: int = 12, temperature: float = 0.2,
        anchor: int = 90, seed: int = 0,
    ) -> None:  # fmt: skip
        if not 1 <= len(losses) <= 8:
            raise ValueError(f"losses must be 1 to 8, side by side; got {len(losses)}")
        if not 1 <= positives <= 4 or negatives < 1:
            raise ValueError(
                f"1 to 4 positives and some negatives are wanted, got {positives} and {negatives}"
            )
        self._losses, draw = dict(losses), generator(seed)
        self._positives = 90 + 70 * (torch.rand(positives, generator=draw, dtype=torch.double) - 0.5)
        spread = torch.rand(negatives, generator=draw, dtype=torch.double)
        self._negatives = (
            360 * (torch.arange(negatives) + spread) / negatives
        )  # evenly, but for a share of a gap
        self._make_slider("temperature")
        self.angle = widgets.IntSlider(
            value=90, min=0, max=360, description="anchor, °", continuous_update=False, readout_format="d",
            layout=widgets.Layout(width="290px"), style={"description_width": "60px"},
        )  # fmt: skip
        self.scale = widgets.Checkbox(
            value=False, description="one scale", indent=False, layout=widgets.Layout(width="90px")
        )
        self.words, self.picture = widgets.HTML(), Picture()
        row = widgets.HBox([self.slider, self.angle, self.scale])
        self.widget = widgets.VBox([row, self.words, self.picture], layout=widgets.Layout(max_width="880px"))
        self.temperature, self.anchor = temperature, anchor
        for control in (self.slider, self.angle, self.scale):
            control.observe(self._moved, "value")
        self._moved()

    @property
    def scene(self) -> Scene:
        angle = torch.tensor([float(self.anchor)], dtype=torch.double)
        return Scene(*(_on_circle(degrees) for degrees in (angle, self._positives, self._negatives)))

    @property
    def forces(self) -> dict[str, Scene]:
        """Of each loss, on every point."""
        scene, found = self.scene, {}
        for name, loss in self._losses.items():
            takes = "temperature" in inspect.signature(loss).parameters
            try:
                found[name] = forces(loss, scene, **({"temperature": self.temperature} if takes else {}))
            except ValueError as error:
                raise ValueError(f"losses[{name!r}]: {error}") from error
        return found

    @property
    def sentence(self) -> str:
        said = [f"{name}: {_taking(force.negatives)}" for name, force in self.forces.items()]
        return (
            f"Temperature {self.temperature:.2g}, anchor (blue) at {self.anchor}°, positives green, negatives orange. How many "
            f"of the {len(self._negatives)} negatives take 90 % of the force on them: {'; '.join(said)}."
        )

    def still(self) -> Figure:
        return arrows(self.scene, self.forces, one_scale=self.one_scale)

    def _moved(self, _: Any = None) -> None:
        self.words.value = say(self.sentence)
        self.picture.show(self.still())


def _on_circle(degrees: Tensor) -> Tensor:
    return torch.stack([degrees.deg2rad().cos(), degrees.deg2rad().sin()], 1)


def _taking(push: Tensor, share: float = 0.9) -> int:
    """How many rows, most first, take this share of the total force; 0 where there is none."""
    sizes = push.norm(dim=1).sort(descending=True).values
    total = float(sizes.sum())
    return 0 if total < 1e-12 else int((sizes.cumsum(0) < share * total).sum()) + 1
