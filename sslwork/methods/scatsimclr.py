"""ScatSimCLR's loss: SimCLR that has to say besides by how many quarter turns a picture was turned."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks, distributed, heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Batch, Method
from sslwork.seeds import seeded


class ScatSimCLR(Method):
    """Encoder, projection head, NT-Xent + `pretext` times the cross-entropy of naming a rotation.

    The first view of each picture is turned by 0, 90, 180 and 270 degrees. One encoder sees these too, apart from the
    two views, so that batch norms do not mix them; a head of its own, with dropout, names the turn.

    Args:
        encoder: kept after training; in the paper `encoders.scattering`. Any other will do.
        dim: width of the embedding.
        temperature: of NT-Xent.
        pretext: lambda, weight of the rotations; 0 is SimCLR.
        dropout: share of the rotation head's hidden units left out.
        seed: of the initial weights of both heads.

    Source: Kinakh, Taran, Voloshynovskiy 2021, arXiv 2108.13939; rotations: Gidaris, Singh, Komodakis 2018,
    arXiv 1803.07728.
    """

    def __init__(
        self, encoder: Encoder, *, dim: int = 64, temperature: float = 0.5, pretext: float = 0.3, dropout: float = 0.5,
        seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(encoder, heads.mlp(encoder.out_features, encoder.out_features, dim, seed=seed))
        self.temperature = checks.positive(temperature, "temperature")
        self.pretext = checks.positive(pretext, "pretext") if pretext else 0.0
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in 0..1, below 1; got {dropout}")
        self.dropout = dropout
        self.parts: tuple[Tensor, Tensor] | None = None  # NT-Xent and the rotations' loss of the last step
        if self.pretext:
            widths = (encoder.out_features, 512, 128, 4)
            with seeded(seed + 2):
                self.turns = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    def outputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """The embeddings of both views, each (N, D); with `pretext`, logits (N, 4 turns, 4 answers) of the first view."""
        embeddings = super().outputs(batch)
        return (*embeddings, self.named(batch.views[0], batch.generator)) if self.pretext else embeddings

    def named(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """What the rotation head says of all four turns of each picture, (N, C, H, H) -> (N, 4, 4)."""
        if images.shape[2] != images.shape[3]:
            raise ValueError(f"images must be square to be turned by 90 degrees, got {tuple(images.shape)}")
        turned = torch.stack([images.rot90(turn, (2, 3)) for turn in range(4)], 1)  # (N, 4, C, H, H)
        h = self.encoder(turned.flatten(0, 1)).unflatten(0, (-1, 4))  # (N, 4, D)
        for layer in self.turns[:-1]:
            h = self._dropped(F.relu(layer(h)), generator)
        return self.turns[-1](h)

    def _dropped(self, h: Tensor, generator: torch.Generator) -> Tensor:
        """Dropout from the run's own generator, drawn for the rows of all processes."""
        if not self.training:
            return h
        shape = len(h) * distributed.world_size(), *h.shape[1:]
        kept = torch.rand(shape, generator=generator, device=generator.device) >= self.dropout
        return h * distributed.part(kept).to(h) / (1 - self.dropout)

    def loss(self, *outputs: Tensor) -> Tensor:
        """NT-Xent, and the cross-entropy of all 4 N turns at its weight."""
        contrast = losses.nt_xent(*outputs[:2], temperature=self.temperature)
        if not self.pretext:
            return contrast
        logits = outputs[2]
        answers = torch.arange(4, device=logits.device).repeat(len(logits))
        rotation = F.cross_entropy(logits.flatten(0, 1), answers)
        self.parts = contrast.detach(), rotation.detach()
        return contrast + self.pretext * rotation
