"""What every method has in common, and what it sees of a step."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sslwork.encoders import Encoder


@dataclass(frozen=True)
class Batch:
    """The views of some pictures, and what else a method may need to know of the step.

    Args:
        views: as many as the method asks for, each (n, C, H, W); with several processes, this one's share.
        rows: (n,) which pictures of the set they show.
        images: all pictures of the set, as they are stored.
        done: share of the training behind us, 0 at the first step.
        generator: for whatever a method draws itself; in the same state in every process.
    """

    views: tuple[Tensor, ...]
    rows: Tensor
    images: Tensor
    done: float
    generator: torch.Generator


class Method(nn.Module):
    """An encoder, which is kept afterwards, a head, which is not, and a loss: what `train.fit` trains.

    A method defines `loss`, a scalar of the rows which `outputs` makes of the batch. Between the two, `train.fit`
    joins the rows of all processes, so a loss is written as if there were one. Where something moves besides the
    optimiser (a moving average, a queue), it overrides `after_step`, called after each step. It is given `n_views`
    views of each picture.
    """

    n_views = 2

    def __init__(self, encoder: Encoder, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    @property
    def settings(self) -> dict[str, Any]:
        """The numbers that make this method what it is besides its weights; a checkpoint of others is refused."""
        plain = {key: value for key, value in vars(self).items() if isinstance(value, int | float | str)}
        return {key: value for key, value in plain.items() if key != "training"}

    def forward(self, images: Tensor) -> Tensor:
        """The embeddings on which the loss works: (N, C, H, W) -> (N, D)."""
        return self.head(self.encoder(images))

    def outputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """What the loss is computed from, row i for picture i: the embeddings (N, D) of each view."""
        return tuple(self(view) for view in batch.views)

    def loss(self, *outputs: Tensor) -> Tensor:
        """A scalar of the outputs of the whole batch."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its loss is")

    def after_step(self, done: float) -> None:
        """Nothing moves besides the optimiser. `done` is the share of the training behind us, 1 at the end."""
