"""The momentum twin: a copy of a network which follows it slowly, and gives targets that do not run away."""

import copy

import torch
from torch import Tensor, nn


class Twin(nn.Module):
    """A copy of `net` that gets no gradient: theta' <- m theta' + (1 - m) theta by `follow`.

    Its batch norms learn from what passes through the twin itself, so they never see the rows of the other view.

    Source: He, Fan, Wu, Xie, Girshick 2020, arXiv 1911.05722.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).requires_grad_(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    @torch.no_grad()
    def follow(self, net: nn.Module, momentum: float) -> None:
        """One step towards `net`; with momentum 0 the two become equal."""
        for own, other in zip(self.net.parameters(), net.parameters(), strict=True):
            own.lerp_(other, 1 - momentum)
