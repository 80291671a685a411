"""CACR: pull hardest on the farthest view of the same picture, push hardest on the nearest other picture."""

from torch import Tensor

from sslwork import heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Method


class CACR(Method):
    """Encoder, projection head, contrastive attraction less contrastive repulsion.

    Args:
        encoder: kept after training.
        dim: width of the embedding on which the loss works.
        n_views: of each picture, at least 2. With two there is one positive, and nothing to weigh among positives.
        tau_pos, tau_neg: >= 0, per squared distance; 0 pulls, or pushes, all alike.
        alpha, beta: >= 0, weights of attraction and repulsion.
        detach_weights: no gradient through the weights of the two.
        seed: of the head's initial weights.

    Source: Zheng, Chen, Yao, Yang, Li, Zhang et al. 2023, arXiv 2105.03746.
    """

    def __init__(
        self, encoder: Encoder, *, dim: int = 64, n_views: int = 2, tau_pos: float = 1.0, tau_neg: float = 2.0,
        alpha: float = 1.0, beta: float = 1.0, detach_weights: bool = False, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(encoder, heads.mlp(encoder.out_features, encoder.out_features, dim, seed=seed))
        if n_views < 2:
            raise ValueError(f"n_views must be at least 2, or there is no positive to pull; got {n_views}")
        self.n_views, self.tau_pos, self.tau_neg = n_views, tau_pos, tau_neg
        self.alpha, self.beta, self.detach_weights = alpha, beta, detach_weights

    def loss(self, *outputs: Tensor) -> Tensor:
        """CACR of the embeddings of all views, each (N, D)."""
        return losses.cacr(
            outputs, tau_pos=self.tau_pos, tau_neg=self.tau_neg, alpha=self.alpha, beta=self.beta,
            detach_weights=self.detach_weights,
        )  # fmt: skip
