"""Collapse on purpose: pull the two views together, push nothing apart."""

import torch.nn.functional as F
from torch import Tensor

from sslwork import heads
from sslwork.encoders import Encoder
from sslwork.methods.method import Method


class PullOnly(Method):
    """SimCLR without its negatives: mean over rows of 2 - 2 cos(z1, z2).

    No negatives, no stop-gradient, no predictor: one constant embedding for every picture solves it. The control
    which shows what the collapse alarm looks like; see the ablations of Chen & He 2021, arXiv 2011.10566.
    """

    def __init__(self, encoder: Encoder, *, dim: int = 64, seed: int = 0) -> None:
        super().__init__(encoder, heads.mlp(encoder.out_features, encoder.out_features, dim, seed=seed))

    def loss(self, *outputs: Tensor) -> Tensor:
        """Distance of the embeddings of two views, each (N, D)."""
        z1, z2 = outputs
        return (2 - 2 * F.cosine_similarity(z1, z2, eps=1e-12)).mean()
