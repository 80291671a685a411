"""DCL and DCLW: SimCLR whose pull on the positive does not fade."""

from torch import Tensor

from sslwork import checks, heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Method


class DCL(Method):
    """Encoder, projection head, the decoupled contrastive loss.

    Args:
        encoder: kept after training.
        dim: width of the embedding on which the loss works.
        temperature: of the loss.
        weighted: True gives DCLW, which pulls harder on the positives that are far.
        sigma: of DCLW's weights, in units of cosine similarity.
        detach_weight: no gradient through DCLW's weights.
        seed: of the head's initial weights.

    Source: Yeh, Hong, Hsu, Liu, Chen, LeCun 2022, arXiv 2110.06848.
    """

    def __init__(
        self, encoder: Encoder, *, dim: int = 64, temperature: float = 0.1, weighted: bool = False, sigma: float = 0.5,
        detach_weight: bool = False, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(encoder, heads.mlp(encoder.out_features, encoder.out_features, dim, seed=seed))
        self.temperature = checks.positive(temperature, "temperature")
        self.weighted, self.detach_weight = weighted, detach_weight
        self.sigma = checks.positive(sigma, "sigma")

    def loss(self, *outputs: Tensor) -> Tensor:
        """DCL, or DCLW, of the embeddings of two views, each (N, D)."""
        if not self.weighted:
            return losses.dcl(*outputs, temperature=self.temperature)
        return losses.dclw(
            *outputs, temperature=self.temperature, sigma=self.sigma, detach_weight=self.detach_weight
        )
