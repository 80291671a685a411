"""Collapse on purpose: pull the two views together, push nothing apart."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from sslwork.methods.simclr import SimCLR


class PullOnly(SimCLR):
    """SimCLR without its negatives: mean over rows of 2 - 2 cos(z1, z2).

    No negatives, no stop-gradient, no predictor: one constant embedding for every picture solves it. The control
    which shows what the collapse alarm looks like; see the ablations of Chen & He 2021, arXiv 2011.10566.
    """

    def loss(self, views: Sequence[Tensor]) -> Tensor:
        first, second = views
        return (2 - 2 * F.cosine_similarity(self(first), self(second), eps=1e-12)).mean()
