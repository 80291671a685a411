"""What every method has in common."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from sslwork.encoders import Encoder


class Method(nn.Module):
    """An encoder, which is kept afterwards, a head, which is not, and a loss of views: what `train.fit` trains.

    A method defines `loss(views)`, a scalar of a sequence of picture batches (N, C, H, W). Where something moves
    besides the optimiser (a moving average, a queue), it overrides `after_step()`, called after each step.
    """

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

    def loss(self, views: Sequence[Tensor]) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not say what its loss is")

    def after_step(self) -> None:
        """Nothing moves besides the optimiser."""
