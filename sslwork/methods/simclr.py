"""SimCLR: two views of a picture must find each other among the views of all other pictures."""

from torch import Tensor

from sslwork import checks, heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Method


class SimCLR(Method):
    """Encoder, projection head, NT-Xent.

    Args:
        encoder: kept after training; its output is the representation.
        dim: width of the embedding on which the loss works.
        temperature: of NT-Xent.
        seed: of the head's initial weights.

    Source: Chen, Kornblith, Norouzi, Hinton 2020, arXiv 2002.05709.
    """

    def __init__(self, encoder: Encoder, *, dim: int = 64, temperature: float = 0.2, seed: int = 0) -> None:
        super().__init__(encoder, heads.mlp(encoder.out_features, encoder.out_features, dim, seed=seed))
        self.temperature = checks.positive(temperature, "temperature")

    def loss(self, *outputs: Tensor) -> Tensor:
        """NT-Xent of the embeddings of two views, each (N, D)."""
        z1, z2 = outputs
        return losses.nt_xent(z1, z2, temperature=self.temperature)
