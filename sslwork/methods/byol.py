"""BYOL: predict what a slow twin of yourself says of another view. No negatives."""

from torch import Tensor, nn

from sslwork import heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Batch, Method
from sslwork.methods.twin import Twin
from sslwork.schedule import momentum


class BYOL(Method):
    """Encoder, head and predictor; the target is a momentum twin of encoder and head.

    Args:
        encoder: kept after training.
        dim: width of the embedding.
        momentum: of the twin at the beginning; it rises to 1 along half a cosine.
        predictor: without it, online and target network have one shape: the control which collapses.
        seed: of the initial weights of head and predictor.

    Source: Grill and others 2020, arXiv 2006.07733.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        dim: int = 64,
        momentum: float = 0.98,
        predictor: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, heads.mlp(encoder.out_features, 2 * dim, dim, seed=seed))
        self.momentum = momentum
        self.predictor = heads.mlp(dim, 2 * dim, dim, seed=seed + 1) if predictor else nn.Identity()
        self.twin = Twin(nn.Sequential(self.encoder, self.head))

    def outputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """Predictions of both views, then targets of both, each (N, D)."""
        first, second = batch.views
        return self.predictor(self(first)), self.predictor(self(second)), self.twin(first), self.twin(second)

    def loss(self, *outputs: Tensor) -> Tensor:
        """2 - 2 cos(prediction of one view, target of the other), summed over both directions."""
        return losses.byol(*outputs)

    def after_step(self, done: float) -> None:
        self.twin.follow(nn.Sequential(self.encoder, self.head), momentum(done, self.momentum))
