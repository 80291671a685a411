"""Neural Cleanse: of a class with a backdoor the smallest change that leads to it is unusually small."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import descent
from sslwork.embedding import evaluating
from sslwork.seeds import generator

PATIENCE = 5  # steps before lambda is moved


class Cleansed(NamedTuple):
    """`sizes` (K,), the sum of each class's mask; `anomaly` (K,), its index; masks (K, H, W); patterns (K, C, H, W)."""

    sizes: Tensor
    anomaly: Tensor
    masks: Tensor
    patterns: Tensor

    @property
    def flagged(self) -> list[int]:
        """Classes with an anomaly index above 2 and a mask smaller than the median."""
        return ((self.anomaly > 2) & (self.sizes < self.sizes.median())).nonzero().flatten().tolist()


def neural_cleanse(
    model: Callable[[Tensor], Tensor], images: Tensor, *, classes: int = 10, steps: int = 100, lr: float = 0.1,
    weight: float = 1e-3, seed: int = 0,
) -> Cleansed:  # fmt: skip
    r"""For each class t the smallest mask and a pattern that turn clean pictures into t.

        min over m, d of CE(z((1 - m) x + m d), t) + lambda |m|_1,   m = (tanh + 1) / 2 in [0, 1]^{H x W}, d likewise

    lambda rises by half every five steps while 99 % of the pictures are called t, and falls back while they are not; the
    smallest mask that did it is kept (the first one if none did). Anomaly index:
    |L_t - median| / (1.4826 MAD) of the sizes L_t = |m_t|_1.

    Args:
        model: pictures to logits (N, K); a module is in evaluation mode meanwhile.
        images: (N, C, H, W) in [0, 1], clean; all of them in every step.
        classes: K, at least 3, or there is no spread to stand out from.
        steps, lr: of Adam, for every class anew.
        weight: lambda at the start.
        seed: of the first masks and patterns.

    Raises:
        ValueError: fewer than three classes, no pictures.
        FloatingPointError: the loss is no longer finite.

    Source: Wang, Yao, Shan, Li, Viswanath, Zheng, Zhao 2019, IEEE Symposium on Security and Privacy.
    """
    if classes < 3 or len(images) == 0:
        raise ValueError(f"classes must be 3 or more and images not empty, got {classes} and {len(images)}")
    found = []
    with evaluating(model), torch.enable_grad():
        for target in range(classes):
            start = 0.1 * torch.randn(
                1 + images.shape[1], *images.shape[2:], generator=generator(seed, target)
            )
            free = start.to(images).requires_grad_()  # (1 + C, H, W): the mask first
            optimiser, lam = torch.optim.Adam([free], lr=lr), weight
            wanted = torch.full((len(images),), target, device=images.device)
            best, least = free.detach().clone(), float("inf")
            for step in range(steps):
                mask, pattern = (free.tanh() + 1).div(2).split([1, images.shape[1]])
                logits = model((1 - mask) * images + mask * pattern)
                works = bool((logits.argmax(1) == target).double().mean() >= 0.99)
                if works and (size := mask.detach().sum().item()) < least:
                    best, least = free.detach().clone(), size
                loss = F.cross_entropy(logits, wanted) + lam * mask.sum()
                descent.descend(optimiser, loss, step)
                if step % PATIENCE == PATIENCE - 1:
                    lam = lam * 1.5 if works else lam / 1.5
            found.append((best.tanh() + 1) / 2)
    masks, patterns = torch.stack(found).split([1, images.shape[1]], 1)
    sizes = masks.sum((1, 2, 3))
    away = (sizes - sizes.quantile(0.5)).abs()
    return Cleansed(sizes, away / (1.4826 * away.quantile(0.5)).clamp(min=1e-12), masks[:, 0], patterns)
