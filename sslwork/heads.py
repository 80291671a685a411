"""Projection heads: from the representation which is kept to the embedding on which the loss works."""

import itertools

import torch
from torch import Tensor, nn

from sslwork import checks
from sslwork.seeds import seeded


def mlp(
    in_features: int,
    hidden: int,
    out_features: int,
    *,
    layers: int = 2,
    bias: bool = True,
    last_norm: bool = False,
    seed: int = 0,
) -> nn.Sequential:
    """`layers` linear maps, with batch norm and ReLU between them: (N, in) -> (N, out).

    The last map has a bias and neither norm nor ReLU; with `last_norm` a norm and no bias, as in SimCLRv2.

    Leave the `bias` out where the loss does not see the mean of a column: its gradient would be rounding alone, which
    Adam makes as large as any, and the embeddings would drift.
    """
    if layers < 1:
        raise ValueError(f"layers must be at least 1, got {layers}")
    widths = [in_features, *[hidden] * (layers - 1), out_features]
    with seeded(seed):
        parts: list[nn.Module] = []
        for a, b in itertools.pairwise(widths[:-1]):
            parts += [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU(inplace=True)]
        parts.append(nn.Linear(widths[-2], widths[-1], bias=bias and not last_norm))
        if last_norm:
            parts.append(nn.BatchNorm1d(out_features))
            parts[-1].register_parameter("bias", None)
        return nn.Sequential(*parts)


def first_layers(head: nn.Sequential, count: int) -> nn.Sequential:
    """The first `count` hidden layers of an `mlp`, each with its norm and ReLU; they are shared, not copied.

    Raises:
        ValueError: the head has fewer hidden layers.
    """
    ends = [0, *(i + 1 for i, part in enumerate(head) if isinstance(part, nn.ReLU))]
    if not 0 <= count < len(ends):
        raise ValueError(f"count must lie in 0..{len(ends) - 1}, the hidden layers of this head; got {count}")
    return nn.Sequential(*list(head)[: ends[count]])


class Reweighting(nn.Module):
    """A head that cannot learn: column k of the representation times kappa^-k, k = 0 ... D - 1.

    The loss has to put more into the later columns to be heard, so the features before it become more even.

    Args:
        features: D.
        kappa: at least 1, which changes nothing; a little above it where D is large.

    Source: Xue, Gan, Ni, Joshi, Mirzasoleiman 2024, arXiv 2403.11391.

    >>> Reweighting(3, kappa=2.0)(torch.ones(1, 3))
    tensor([[1.0000, 0.5000, 0.2500]])
    """

    weights: Tensor

    def __init__(self, features: int, *, kappa: float) -> None:
        super().__init__()
        if checks.positive(kappa, "kappa") < 1:
            raise ValueError(f"kappa must be at least 1, got {kappa}")
        self.register_buffer("weights", kappa ** -torch.arange(features, dtype=torch.float32))

    def forward(self, y: Tensor) -> Tensor:
        return y * self.weights  # (N, D)
