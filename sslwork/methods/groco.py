"""GroCo: all views of a picture must rank above the pictures most like it, by a sorting network with a gradient."""

from torch import Tensor

from sslwork import heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Method


class GroCo(Method):
    """Encoder, projection head, the group ordering constraint.

    Args:
        encoder: kept after training.
        dim: width of the embedding on which the loss works.
        n_views: of each picture, at least 2; all but one are positives of that one.
        top_k: nearest other pictures that a positive must beat, fewer than the batch holds.
        steepness: >= 0, of the comparators, per unit of cosine similarity.
        stop_gradient: only the anchor moves.
        seed: of the head's initial weights.

    Source: Shvetsova, Petersen, Kukleva, Schiele, Kuehne 2023, arXiv 2301.02009.
    """

    def __init__(
        self, encoder: Encoder, *, dim: int = 64, n_views: int = 2, top_k: int = 10, steepness: float = 1.0,
        stop_gradient: bool = True, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(encoder, heads.mlp(encoder.out_features, encoder.out_features, dim, seed=seed))
        if n_views < 2:
            raise ValueError(f"n_views must be at least 2, or there is no positive to rank; got {n_views}")
        self.n_views, self.top_k = n_views, top_k
        self.steepness, self.stop_gradient = steepness, stop_gradient

    def loss(self, *outputs: Tensor) -> Tensor:
        """GroCo of the embeddings of all views, each (N, D)."""
        return losses.groco(
            *outputs, top_k=self.top_k, steepness=self.steepness, stop_gradient=self.stop_gradient
        )
