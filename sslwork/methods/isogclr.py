"""SogCLR and iSogCLR: a running mean of its push, and a temperature of its own, for each picture."""

from torch import Tensor

from sslwork import heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Batch, Method


class ISogCLR(Method):
    """Encoder, projection head, the robust contrastive loss with one temperature per picture.

    Args:
        encoder: kept after training.
        dim: width of the embedding on which the loss works.
        pictures: at least as many as the set holds: each row has its own state, in `objective.temperatures`.
        rho: in nats, how unequal the push of a picture may be.
        gamma: in (0, 1], how much the last batch counts in the running mean of the push.
        temperature: of every picture at first.
        rate: of the descent on the temperatures. A picture moves by about rate * rho per visit.
        individual: False holds the temperature: SogCLR.
        seed: of the head's initial weights.

    Source: Qiu, Hu, Yuan, Zhou, Zhang, Yang 2023, arXiv 2305.11965; SogCLR: Yuan, Wu, Qiu et al. 2022, arXiv 2202.12387.
    """

    def __init__(
        self, encoder: Encoder, *, dim: int = 64, pictures: int = 65_536, rho: float = 0.4, gamma: float = 0.8,
        temperature: float = 0.1, rate: float = 0.03, individual: bool = True, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(encoder, heads.mlp(encoder.out_features, encoder.out_features, dim, seed=seed))
        self.pictures, self.rho, self.gamma, self.rate = pictures, rho, gamma, rate
        self.temperature, self.individual = temperature, individual
        self.objective = losses.ISogCLR(
            pictures, rho=rho, gamma=gamma, temperature=temperature, rate=rate, individual=individual
        )

    def outputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """The embeddings of two views, each (N, D), and whose they are, (N,)."""
        if len(batch.images) > self.pictures:
            raise ValueError(
                f"pictures must be at least {len(batch.images)}, the size of the set; got {self.pictures}"
            )
        return *super().outputs(batch), batch.rows

    def loss(self, *outputs: Tensor) -> Tensor:
        """The surrogate whose gradient is that of the robust loss; it moves the state of the batch's pictures."""
        return self.objective(*outputs)
