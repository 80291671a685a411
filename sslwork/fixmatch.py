"""FixMatch: what a network is sure of in a weakly changed picture, it learns to say of a strongly changed one."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks, descent, scale
from sslwork.data.pictures import PictureSet, to_float
from sslwork.methods.twin import Twin
from sslwork.schedule import batch_rows, learning_rate
from sslwork.seeds import generator
from sslwork.warp import affine

Change = Callable[[Tensor, torch.Generator], Tensor]  # of pictures (N, C, H, W), e.g. `views.Views`


def shift(images: Tensor, generator: torch.Generator, *, pixels: int = 1) -> Tensor:
    """Moved by up to so many whole pixels down and across, each picture by its own; black comes in from outside."""
    n, _, height, width = images.shape
    moves = torch.randint(-pixels, pixels + 1, (2, n), generator=generator, device=generator.device)
    x, y = 2 * moves.to(images.device) / torch.tensor([[width], [height]], device=images.device)
    whole, straight = torch.ones_like(x), torch.zeros_like(x)
    return affine(to_float(images), angle=straight, width=whole, height=whole, x=x, y=y)


def consistency(weak: Tensor, strong: Tensor, *, threshold: float = 0.95) -> Tensor:
    r"""The loss on pictures without labels, a scalar.

        1/M sum_u 1[max_k p_uk >= tau] CE(z(strong_u), argmax_k p_uk),   p_u = softmax z(weak_u), without gradient

    The mean runs over all M pictures: those below the threshold count as 0. If none passes, the loss is 0, and so is
    its gradient.

    Args:
        weak, strong: logits (M, K) of the two views.
        threshold: tau in 0..1.

    Raises:
        ValueError: other shapes, NaN, a threshold out of range.

    Source: Sohn, Berthelot, Li, Zhang, Carlini, Cubuk, Kurakin, Zhang, Raffel 2020, arXiv 2001.07685.
    """
    checks.pair(weak, strong, ("weak", "strong"), rows=1)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must lie in 0..1, got {threshold}")
    sure, answer = weak.detach().softmax(1).max(1)
    return (F.cross_entropy(strong, answer, reduction="none") * (sure >= threshold)).mean()


def fit(
    model: nn.Module,
    labelled: PictureSet,
    unlabelled: PictureSet,
    *,
    weak: Change,
    strong: Change,
    steps: int = 840,
    batch_size: int = 64,
    ratio: int = 7,
    threshold: float = 0.95,
    weight: float = 1.0,
    momentum: float = 0.999,
    lr: float = 3e-3,
    seed: int = 0,
    device: torch.device | str | None = None,
    show: Callable[[int, nn.Module, nn.Module], None] | None = None,
    progress: bool = True,
) -> nn.Module:
    """Train `model` in place by CE on labelled pictures + weight * `consistency`; returns its slow twin, for testing.

    AdamW without weight decay (the source: SGD), a tenth of warm-up and half a cosine. The twin is a moving average of the
    weights; its batch-norm statistics, which are no weights, are copied. One forward pass sees all views of a step.

    Args:
        model: pictures (N, C, H, W) in [0, 1] to logits (N, K).
        labelled: a few pictures with labels.
        unlabelled: many; their labels are never looked at.
        weak, strong: changes of pictures; the labelled ones are changed weakly.
        batch_size, ratio: B labelled and ratio B unlabelled pictures per step; at most as many as there are.
        threshold: tau, of `consistency`.
        weight: lambda >= 0; 0 learns from the labels alone.
        momentum: of the twin in 0..1; held below (1 + t) / (10 + t) at step t, so that it does not remember its start.
        seed: of batches and views.
        show: called after each step with the number of steps done, the model and the twin.

    Raises:
        ValueError: no labels, a weight or a momentum out of range.
        FloatingPointError: the loss is no longer a number.
    """
    from tqdm.auto import tqdm

    y = checks.labels(labelled.labels, len(labelled))
    checks.not_negative(weight=weight)
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must lie in 0..1, got {momentum}")
    device = scale.current().device if device is None else device
    model.to(device).train()
    twin, draw = Twin(model), generator(seed, device=device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    few, many = min(batch_size, len(labelled)), min(ratio * batch_size, len(unlabelled))
    for step in tqdm(
        range(steps), desc="FixMatch", unit=" steps", delay=2, leave=False, disable=not progress
    ):
        rows = batch_rows(step, len(labelled), few, seed)
        pool = unlabelled.images[batch_rows(step, len(unlabelled), many, seed + 1)].to(device)
        known = weak(labelled.images[rows].to(device), draw)
        views = torch.cat([known, weak(pool, draw), strong(pool, draw)])  # (B + 2 ratio B, C, H, W)
        logits, easy, hard = model(views).split([few, many, many])
        loss = F.cross_entropy(logits, y[rows].to(device))
        loss = loss + weight * consistency(easy, hard, threshold=threshold)
        optimiser.param_groups[0]["lr"] = learning_rate(step, steps, lr)
        descent.descend(optimiser, loss, step)
        twin.follow(model, min(momentum, (1 + step) / (10 + step)))
        for own, other in zip(twin.buffers(), model.buffers(), strict=True):
            own.copy_(other)
        if show is not None:
            show(step + 1, model, twin.net)
    return twin.net.eval()
