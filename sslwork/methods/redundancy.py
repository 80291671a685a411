"""Methods without negatives that keep the columns of the embedding apart: VICReg and Barlow Twins."""

from torch import Tensor

from sslwork import heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Method


class VICReg(Method):
    """Encoder, a head of three layers, and three terms: invariance, variance, covariance.

    Args:
        encoder: kept after training.
        dim: width of the embedding.
        invariance, variance, covariance: weights of the three terms; 0 leaves one out.
        seed: of the head's initial weights.

    Source: Bardes, Ponce, LeCun 2022, arXiv 2105.04906.
    """

    def __init__(
        self, encoder: Encoder, *, dim: int = 128, invariance: float = 25.0, variance: float = 25.0,
        covariance: float = 1.0, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(encoder, heads.mlp(encoder.out_features, dim, dim, layers=3, bias=False, seed=seed))
        self.invariance, self.variance, self.covariance = invariance, variance, covariance

    def loss(self, *outputs: Tensor) -> Tensor:
        """VICReg of the embeddings of two views, each (N, D)."""
        return losses.vicreg(
            *outputs, invariance=self.invariance, variance=self.variance, covariance=self.covariance
        )


class BarlowTwins(Method):
    """Encoder, a wide head, and the cross-correlation of two views pulled to the identity.

    Args:
        encoder: kept after training.
        dim: width D of the embedding.
        strength: D times the weight of the off-diagonal entries. What matters when D changes is the product: 42 in
            the paper (0.0051 at 8192), 8 to 16 for small pictures.
        hidden: width of the head's hidden layer; `dim` unless given.
        seed: of the head's initial weights.

    Source: Zbontar, Jing, Misra, LeCun, Deny 2021, arXiv 2103.03230.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        dim: int = 128,
        strength: float = 8.0,
        hidden: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, heads.mlp(encoder.out_features, hidden or dim, dim, bias=False, seed=seed))
        self.strength = strength

    def loss(self, *outputs: Tensor) -> Tensor:
        """Barlow Twins of the embeddings of two views, each (N, D)."""
        return losses.barlow_twins(*outputs, off_diagonal=self.strength / outputs[0].shape[1])
