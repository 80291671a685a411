"""MoCHi: MoCo, made harder by negatives which are mixed for each query from its hardest ones."""

import torch
from torch import Tensor

from sslwork import losses
from sslwork.encoders import Encoder
from sslwork.methods import Batch
from sslwork.methods.moco import MoCo


class MoCHi(MoCo):
    """MoCo with synthetic negatives, which are never stored.

    Args:
        encoder, dim, temperature, queue, momentum, seed: as for MoCo.
        n_hard: how many of the queue, the most similar to the query, are mixed from.
        n_mixed: synthetic negatives from two of them, for each query.
        n_query_mixed: synthetic negatives from one of them and the query.
        start: share of the training without any. By then the queue should hold true keys alone.

    Source: Kalantidis, Sariyildiz, Pion, Weinzaepfel, Larlus 2020, arXiv 2010.01028.
    """

    def __init__(
        self, encoder: Encoder, *, dim: int = 64, temperature: float = 0.2, queue: int = 1024, momentum: float = 0.99,
        n_hard: int = 64, n_mixed: int = 32, n_query_mixed: int = 8, start: float = 0.3, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(encoder, dim=dim, temperature=temperature, queue=queue, momentum=momentum, seed=seed)
        if not 0 <= start <= 1:
            raise ValueError(f"start is a share of the training, 0 to 1; got {start}")
        self.n_hard, self.n_mixed, self.n_query_mixed, self.start = n_hard, n_mixed, n_query_mixed, start
        self._generator: torch.Generator | None = None

    def outputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """Queries of the first view, keys of the second, both (N, D)."""
        # Mixtures are drawn in the loss, for the queries of all processes: each has the generator in the same state.
        self._generator = batch.generator if batch.done >= self.start else None
        return super().outputs(batch)

    def contrast(self, queries: Tensor, keys: Tensor) -> Tensor:
        """InfoNCE against the queue, and against the synthetic negatives once they have begun."""
        draw, self._generator = self._generator, None
        if draw is None:
            return super().contrast(queries, keys)
        synthetic = losses.mochi_negatives(
            queries, self.queue, n_hard=self.n_hard, n_mixed=self.n_mixed, n_query_mixed=self.n_query_mixed,
            generator=draw,
        )  # fmt: skip
        return losses.mochi(queries, keys, self.queue, synthetic, temperature=self.temperature)
