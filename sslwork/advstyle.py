"""Layers that change the style of feature maps in training: MixStyle, DSU, and AdvStyle, which learns by how much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks, descent
from sslwork.data.pictures import PictureSet, to_float
from sslwork.schedule import batch_rows, learning_rate

TINY = 1e-6


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel of each map: (B, C, H, W) -> two of (B, C, 1, 1).

    The deviation is sqrt(unbiased variance + 1e-6), so that a constant channel gives 0.001 and no NaN.
    """
    if x.ndim != 4 or x.shape[2] * x.shape[3] < 2:
        raise ValueError(f"x must be maps (B, C, H, W) of at least 2 places, got {tuple(x.shape)}")
    variance, mean = torch.var_mean(x, dim=(2, 3), keepdim=True)
    return mean, (variance + TINY).sqrt()


def restyle(x: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """The maps with other channel statistics: (x - mu) / sig * deviation + mean."""
    mu, sig = statistics(x)
    return (x - mu) / sig * deviation + mean


class Reverse(torch.autograd.Function):
    """Gradient reversal: forward the identity, backward times -k."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: float) -> Tensor:
        ctx.k = k
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.k * gradients[0], None


def spread(values: Tensor) -> Tensor:
    """sqrt(unbiased variance over the batch + 1e-6): (B, C, 1, 1) -> (1, C, 1, 1)."""
    if len(values) < 2:
        raise ValueError("a batch of one has no spread of styles; give two pictures or more")
    return (values.var(0, keepdim=True) + TINY).sqrt()


class Style(nn.Module):
    """A layer that changes channel statistics in training and is the identity in evaluation.

    Each call in training picks one branch for the whole batch. Draws come from the layer's own generator.
    """

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__()
        self._rng = np.random.default_rng((116, seed))

    def _normal(self, like: Tensor) -> Tensor:
        return torch.from_numpy(self._rng.standard_normal(like.shape)).to(like)

    def _chance(self) -> float:
        return float(self._rng.random())


def _share(p: float) -> float:
    if not 0 <= p <= 1:
        raise ValueError(f"p must lie in 0..1, how often the layer acts; got {p}")
    return p


class MixStyle(Style):
    """Statistics mixed with those of other pictures of the batch: l * own + (1 - l) * other, l ~ Beta(alpha, alpha).

    All statistics are detached, those that normalise too: the gradient is that of a scale, l * sig + (1 - l) * sig' over
    sig. With one style in the batch there is little to mix.

    Args:
        p: how often, 0..1; otherwise the identity.
        alpha: small gives l near 0 or 1.

    Source: Zhou, Yang, Qiao, Xiang 2021, arXiv 2104.02008.
    """

    def __init__(self, *, p: float = 0.5, alpha: float = 0.1, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.p, self.alpha = _share(p), checks.positive(alpha, "alpha")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self._chance() >= self.p:
            return x
        own = torch.as_tensor(self._rng.beta(self.alpha, self.alpha, (len(x), 1, 1, 1))).to(x)
        other = torch.from_numpy(self._rng.permutation(len(x))).to(x.device)
        mu, sig = statistics(x.detach())
        mean, deviation = (own * each + (1 - own) * each[other] for each in (mu, sig))
        return (x - mu) / sig * deviation + mean


class DSU(Style):
    """Statistics drawn around a picture's own, by as much as they spread over the batch.

    mu' = mu + n1 * spread(mu), sig' = sig + n2 * spread(sig), n ~ N(0, 1); gradients flow through both.

    Args:
        p: how often, 0..1; otherwise the identity.

    Source: Li, Dai, Ge, Liu, Shan, Duan 2022, arXiv 2202.03958.
    """

    def __init__(self, *, p: float = 0.5, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.p = _share(p)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self._chance() >= self.p:
            return x
        return restyle(x, *self.sampled(x))

    def sampled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The statistics of one draw, two of (B, C, 1, 1)."""
        mu, sig = statistics(x)
        return mu + self._normal(mu) * spread(mu), sig + self._normal(sig) * spread(sig)


class AdvStyle(DSU):
    """Statistics drawn around a picture's own, by spreads that are learnt to make the task hard.

    mu' = mu + n1 * R(a_mu), sig' = sig + n2 * R(a_sig), with R the reversal of gradients (times -k) on the spreads, so
    that descent on the task's loss raises it. The first adversarial call sets the spreads to those of its batch. A call in
    training picks the identity, the adversarial branch or DSU's, for the whole batch. sig' may turn negative, which
    flips the contrast of a channel.

    Args:
        channels: C of the maps.
        k: strength of the reversal.
        p: how often the adversarial branch and how often DSU's, 0..1; the rest is the identity.
        seed: of the draws.

    Raises:
        ValueError: shares that are not in 0..1 in sum; maps of other channels; a batch of one.

    Source: Zhang, Deng, Li, Jia, Zhang 2023, arXiv 2301.12643.
    """

    first: Tensor

    def __init__(
        self, channels: int, *, k: float = 10.0, p: tuple[float, float] = (1 / 3, 1 / 3), seed: int = 0
    ) -> None:
        super().__init__(seed=seed)
        if min(p) < 0 or sum(p) > 1 + 1e-9:
            raise ValueError(f"p holds two shares, 0 or above and at most 1 together; got {p}")
        self.k, self.shares = k, p
        self.a_mu = nn.Parameter(torch.full((1, channels, 1, 1), 0.1))
        self.a_sig = nn.Parameter(torch.full((1, channels, 1, 1), 0.1))
        # The spreads of the first adversarial call: NaN until then, and kept with the weights.
        self.register_buffer("first", torch.full((2, 1, channels, 1, 1), torch.nan))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        chance, (adversarial, dsu) = self._chance(), self.shares
        if chance < adversarial:
            return self.adversarial(x)
        return restyle(x, *super().sampled(x)) if chance < adversarial + dsu else x

    def adversarial(self, x: Tensor) -> Tensor:
        """The adversarial branch."""
        return restyle(x, *self.sampled(x))

    def sampled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The statistics of one draw of the adversarial branch, two of (B, C, 1, 1)."""
        mu, sig = statistics(x)
        if self.first.isnan().all():
            with torch.no_grad():
                self.first.copy_(torch.stack([spread(mu), spread(sig)]))
                self.a_mu.copy_(self.first[0])
                self.a_sig.copy_(self.first[1])
        a_mu, a_sig = Reverse.apply(self.a_mu, self.k), Reverse.apply(self.a_sig, self.k)
        return mu + self._normal(mu) * a_mu, sig + self._normal(sig) * a_sig

    @property
    def spreads(self) -> tuple[nn.Parameter, nn.Parameter]:
        """What is learnt against the task: a_mu and a_sig, (1, C, 1, 1)."""
        return self.a_mu, self.a_sig


def fit(
    model: nn.Module, pictures: PictureSet, *, passes: int = 3, steps: int = 300, batch_size: int = 64, lr: float = 0.05,
    lr_spread: float = 0.01, seed: int = 0, progress: bool = True,
) -> list[float]:  # fmt: skip
    """Train a classifier that holds style layers, by SGD with momentum 0.9; it is changed in place.

    Each step: `passes` forward passes that change only the spreads of `AdvStyle` layers, by plain SGD, while batch norms
    keep their running figures; then one that changes only the network. Both rates fall along one cosine. A model without
    such layers takes the last pass alone.

    Args:
        model: pictures in [0, 1] -> logits.
        pictures: with labels.
        lr, lr_spread: largest rates of network and spreads.
        seed: of the batches. (Layers have seeds of their own.)

    Returns:
        The loss of the network's pass, one number per step.

    Raises:
        ValueError: no labels.
        FloatingPointError: the loss is no longer finite.

    Source: Zhang et al. 2023, see `AdvStyle`.
    """
    from tqdm.auto import tqdm

    labels = checks.labels(pictures.labels, len(pictures))
    spreads = [each for layer in model.modules() if isinstance(layer, AdvStyle) for each in layer.spreads]
    others = [each for each in model.parameters() if not any(each is spread for spread in spreads)]
    network = torch.optim.SGD(others, lr, momentum=0.9)
    adversary = torch.optim.SGD(spreads, lr_spread) if spreads else None
    device, curve = others[0].device, []
    for step in tqdm(range(steps), desc="advstyle.fit", unit="step", leave=False, disable=not progress):
        network.param_groups[0]["lr"] = learning_rate(step, steps, lr)
        rows = batch_rows(step, len(pictures), min(batch_size, len(pictures)), seed)
        x, y = to_float(pictures.images[rows]).to(device), labels[rows].to(device)
        model.train()
        if adversary is not None:
            adversary.param_groups[0]["lr"] = learning_rate(step, steps, lr_spread)
            with _norms_kept(model):
                for _ in range(passes):
                    descent.descend(adversary, F.cross_entropy(model(x), y), step)
        curve.append(descent.descend(network, F.cross_entropy(model(x), y), step))
    model.eval()
    return curve


@contextmanager
def _norms_kept(model: nn.Module) -> Iterator[None]:
    """Batch norms do not learn from perturbed batches: their momentum is 0 in here."""
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
