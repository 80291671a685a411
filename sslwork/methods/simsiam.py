"""SimSiam: one network predicts itself from another view; a stop-gradient is all that keeps it from collapse."""

import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Batch, Method


class SimSiam(Method):
    """Encoder, a head of three layers that ends in batch norm, and a predictor with a narrow middle.

    Args:
        encoder: kept after training.
        dim: width of the embedding.
        stop_gradient: without it the embeddings lose their directions: the control which collapses.
        seed: of the initial weights of head and predictor.

    Source: Chen & He 2021, arXiv 2011.10566.
    """

    def __init__(self, encoder: Encoder, *, dim: int = 64, stop_gradient: bool = True, seed: int = 0) -> None:
        wide = encoder.out_features
        head = nn.Sequential(
            *heads.mlp(wide, max(wide, dim), dim, layers=3, bias=False, seed=seed),
            nn.BatchNorm1d(dim, affine=False),
        )
        super().__init__(encoder, head)
        self.predictor = heads.mlp(dim, max(2, dim // 4), dim, seed=seed + 1)
        self.stop_gradient = stop_gradient

    def outputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """Predictions from both views, then the embeddings of both, each (N, D)."""
        z1, z2 = (self(view) for view in batch.views)
        return self.predictor(z1), self.predictor(z2), z1, z2

    def loss(self, *outputs: Tensor) -> Tensor:
        """Minus the cosine of each prediction with the embedding of the other view, averaged over both directions."""
        if self.stop_gradient:
            return losses.simsiam(*outputs)
        p1, p2, z1, z2 = outputs
        return -(F.cosine_similarity(p1, z2, eps=1e-12) + F.cosine_similarity(p2, z1, eps=1e-12)).mean() / 2
