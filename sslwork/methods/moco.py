"""MoCo: a slow twin makes the keys, and a queue keeps the keys of earlier batches as negatives."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks, heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Batch, Method
from sslwork.methods.twin import Twin
from sslwork.seeds import generator


class MoCo(Method):
    """Encoder and head with a momentum twin, InfoNCE against a queue of keys.

    A step: queries from the network, keys from the twin, loss with the old queue, optimiser, then the twin follows
    and the new keys replace the oldest.

    Args:
        encoder: kept after training.
        dim: width of the embedding.
        temperature: of InfoNCE.
        queue: how many keys are kept; a multiple of the batch size, so that a batch never wraps round.
        momentum: of the twin.
        seed: of the head's initial weights and the queue's first, random rows.

    Source: He, Fan, Wu, Xie, Girshick 2020, arXiv 1911.05722.
    """

    queue: Tensor
    place: Tensor

    def __init__(
        self, encoder: Encoder, *, dim: int = 64, temperature: float = 0.2, queue: int = 1024, momentum: float = 0.99,
        seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(encoder, heads.mlp(encoder.out_features, encoder.out_features, dim, seed=seed))
        self.temperature = checks.positive(temperature, "temperature")
        self.momentum = momentum
        self.twin = Twin(nn.Sequential(self.encoder, self.head))
        self.register_buffer("queue", F.normalize(torch.randn(queue, dim, generator=generator(seed)), dim=1))
        self.register_buffer("place", torch.tensor(0))
        self._keys = self.queue[:0]

    def outputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """Queries of the first view, keys of the second, both (N, D)."""
        first, second = batch.views
        return self(first), self.twin(second)

    def loss(self, *outputs: Tensor) -> Tensor:
        """InfoNCE of the queries against their keys and the queue."""
        queries, keys = outputs
        if len(self.queue) % len(keys):
            raise ValueError(f"queue must be a multiple of the batch size {len(keys)}, got {len(self.queue)}")
        self._keys = F.normalize(keys, dim=1)
        return self.contrast(queries, keys)

    def contrast(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The loss with the queue as it stands, before this batch enters."""
        return losses.info_nce(queries, keys, self.queue, temperature=self.temperature)

    def after_step(self, done: float) -> None:
        self.twin.follow(nn.Sequential(self.encoder, self.head), self.momentum)
        start = int(self.place)
        self.queue[start : start + len(self._keys)] = self._keys
        self.place.fill_((start + len(self._keys)) % len(self.queue))
