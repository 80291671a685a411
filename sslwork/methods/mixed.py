"""Mixed Barlow Twins: a third view, half one picture and half another, whose embedding is to be the mix of theirs."""

import torch
from torch import Tensor

from sslwork import distributed, heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Batch, Method


class MixedBarlowTwins(Method):
    """Barlow Twins, with mixed pictures against overfitting where pictures are few and epochs many.

    Every step draws one share `mix` from U(0, 1) and one permutation for the whole batch. Row i of the third view is
    mix * (view 1 of picture i) + (1 - mix) * (view 2 of picture permutation[i]). Three passes through one network.

    The head is that of `BarlowTwins`, so that the two differ by the regulariser alone; for small pictures the paper
    scales the head's rows to length one besides.

    Args:
        encoder: kept after training.
        dim: width D of the embedding.
        strength: D times the weight of the off-diagonal entries; 8 in the paper.
        regularisation: weight of the mixed term beside them; 4 in the paper, 2 on STL-10, 1 on ImageNet.
        hidden: width of the head's hidden layer; `dim` unless given.
        seed: of the head's initial weights.

    Source: Bandara, De Melo, Patel 2023, arXiv 2312.02151.
    """

    def __init__(
        self, encoder: Encoder, *, dim: int = 128, strength: float = 8.0, regularisation: float = 4.0,
        hidden: int | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(encoder, heads.mlp(encoder.out_features, hidden or dim, dim, bias=False, seed=seed))
        self.off_diagonal, self.regularisation = strength / dim, regularisation

    def outputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """Embeddings (N, D) of both views and of their mix; then, row by row, the partner and the share (N,)."""
        first, second = batch.views
        everyone = distributed.gather(second)  # the partner may lie in another process
        draw = batch.generator
        mix = torch.rand(1, generator=draw, device=draw.device).to(first)
        order = torch.randperm(len(everyone), generator=draw, device=draw.device)
        partner = distributed.part(order).to(first.device)
        mixed = everyone[partner].lerp(first, mix)
        return self(first), self(second), self(mixed), partner, mix.repeat(len(partner))

    def loss(self, *outputs: Tensor) -> Tensor:
        """Mixed Barlow Twins of the three embeddings."""
        z1, z2, z_mixed, permutation, mix = outputs
        return losses.mixed_barlow_twins(
            z1, z2, z_mixed, mix=mix[0], permutation=permutation, off_diagonal=self.off_diagonal,
            regularisation=self.regularisation,
        )  # fmt: skip
