"""The contrastive loss with its hardest negatives only, as a method; with all of them it is the ordinary one."""

from torch import Tensor

from sslwork import checks, heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Method


class HardContrastive(Method):
    """Encoder, projection head, the softmax loss of each first view against the nearest of the second views.

    Args:
        encoder: kept after training.
        dim: width of the embedding on which the loss works.
        temperature: of the loss.
        alpha: share of the negatives that are kept, in (0, 1]; 1 is the ordinary loss. It may be set between runs: a
            small one from scratch pushes the few and pulls the rest together, so warm up with 1.
        seed: of the head's initial weights.

    Source: Wang & Liu 2021, arXiv 2012.09740.
    """

    def __init__(
        self, encoder: Encoder, *, dim: int = 64, temperature: float = 0.3, alpha: float = 0.2, seed: int = 0
    ) -> None:
        super().__init__(encoder, heads.mlp(encoder.out_features, encoder.out_features, dim, seed=seed))
        self.temperature, self.alpha = checks.positive(temperature, "temperature"), alpha

    def loss(self, *outputs: Tensor) -> Tensor:
        """The hard contrastive loss of the embeddings of two views, each (N, D)."""
        return losses.hard_contrastive(*outputs, temperature=self.temperature, alpha=self.alpha)
