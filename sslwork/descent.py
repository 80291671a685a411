"""Plain descent on a loss of your own: random batches, Adam, the rate falls to 0."""

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from sslwork.data.pictures import PictureSet, to_float
from sslwork.seeds import generator


def batches(
    data: PictureSet | Tensor, steps: int, batch_size: int, draw: torch.Generator
) -> Iterator[Tensor]:
    """`steps` batches drawn without replacement: pictures (B, C, H, W) in [0, 1], or rows (B, D) as they are.

    Raises:
        ValueError: no steps, no rows, a batch of none.
    """
    rows = data.images if isinstance(data, PictureSet) else data
    if steps < 1 or batch_size < 1 or not len(rows):
        raise ValueError(
            f"steps, batch_size and rows must be 1 or more, got {steps}, {batch_size}, {len(rows)}"
        )
    for _ in range(steps):
        batch = rows[torch.randperm(len(rows), generator=draw)[:batch_size].to(rows.device)]
        yield batch if rows.ndim == 2 else to_float(batch)


def adam(
    loss: Callable[[Tensor, torch.Generator], Tensor], parameters: Iterable[nn.Parameter], data: PictureSet | Tensor,
    *, steps: int, batch_size: int = 64, lr: float = 2e-3, seed: int = 0,
) -> list[float]:  # fmt: skip
    """Lower `loss(batch, generator)` by Adam; the rate falls to 0 along half a cosine. Returns the losses.

    Args:
        loss: of a batch as `batches` draws it, moved to where the parameters are; the generator is for its own draws.
        parameters: what may move.
        data: pictures, or rows (N, D).

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    moved = list(parameters)
    optimiser = torch.optim.Adam(moved, lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    draw, losses = generator(seed), []
    for step, batch in enumerate(batches(data, steps, batch_size, draw)):
        losses.append(descend(optimiser, loss(batch.to(moved[0].device), draw), step))
        schedule.step()
    return losses


def descend(optimiser: torch.optim.Optimizer, loss: Tensor, step: int) -> float:
    """One step of the optimiser down this loss, whose value it returns. What it does not move gets no gradient.

    Args:
        loss: a scalar.
        step: its number, for the error.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    value = finite(loss, step)
    optimiser.zero_grad()
    loss.backward(inputs=[p for group in optimiser.param_groups for p in group["params"] if p.requires_grad])
    optimiser.step()
    return value


def finite(loss: Tensor, step: int) -> float:
    """The value of a loss, or a clear error where it is none."""
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss is {value} at step {step}: lower the learning rate")
    return value
