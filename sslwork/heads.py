"""Projection heads: from the representation which is kept to the embedding on which the loss works."""

import itertools

from torch import nn

from sslwork.seeds import seeded


def mlp(in_features: int, hidden: int, out_features: int, *, layers: int = 2, seed: int = 0) -> nn.Sequential:
    """`layers` linear maps, with batch norm and ReLU between them and neither at the end: (N, in) -> (N, out)."""
    if layers < 1:
        raise ValueError(f"layers must be at least 1, got {layers}")
    widths = [in_features, *[hidden] * (layers - 1), out_features]
    with seeded(seed):
        parts: list[nn.Module] = []
        for a, b in itertools.pairwise(widths[:-1]):
            parts += [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU(inplace=True)]
        return nn.Sequential(*parts, nn.Linear(widths[-2], widths[-1]))
