"""Square: an attack that asks the model and never looks at a gradient."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sslwork import seeds
from sslwork.attacks import inputs
from sslwork.attacks.objectives import labels, logits, margin
from sslwork.attacks.pgd import Model
from sslwork.embedding import evaluating

# After these shares of the budget the share of the picture that a square covers is halved.
HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


@torch.no_grad()
def square(
    model: Model,
    x: Tensor,
    y: Any,
    *,
    eps: float,
    n_queries: int = 500,
    share: float = 0.8,
    box: tuple[float, float] | None = (0.0, 1.0),
    callback: Callable[[int, Tensor, Tensor], object] | None = None,
    seed: int | torch.Generator = 0,
) -> Tensor:
    """Random squares of +-eps on each picture, kept where they raise the margin. l_inf only. Returns x'.

    Starts from vertical stripes of +-eps. A square has side round(sqrt(p H W)), one sign per channel; p starts at `share`
    and is halved along the budget. A picture that is named wrong is asked about no more.

    Args:
        model: pictures (N, C, H, W) -> logits (N, K); need not be differentiable.
        y: labels (N,).
        eps: radius, >= 0.
        n_queries: at most so many pictures are shown to the model per sample, the one that only checks x aside.
        share: of the picture that the first squares cover, in (0, 1].
        box, callback, seed: as for `attacks.pgd`; the callback sees all samples.

    Raises:
        TypeError, ValueError: as `attacks.pgd`; x that are no pictures.

    Source: Andriushchenko, Croce, Flammarion and Hein 2020, arXiv 1912.00049.
    """
    x = inputs.checked(x, "linf", eps, box)
    inputs.whole(n_queries=n_queries)
    if x.ndim != 4:
        raise ValueError(f"x must be pictures (N, C, H, W): squares are drawn on them; got {tuple(x.shape)}")
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], got {share}")
    if len(x) == 0:
        return x.clone()
    generator = seed if isinstance(seed, torch.Generator) else seeds.generator(seed)
    n, channels, height, width = x.shape

    def signs(*shape: int) -> Tensor:
        return (torch.randint(2, shape, generator=generator) * 2 - 1).to(x) * eps

    def put(rows: Tensor, delta: Tensor) -> Tensor:
        return x[rows] + delta if box is None else (x[rows] + delta).clamp(*box)

    everything = torch.arange(n, device=x.device)
    with evaluating(model):
        clean = logits(model, x)
        y = labels(y, clean)
        delta, reached = torch.zeros_like(x), margin(clean, y)
        rows = everything[reached <= 0]
        new = signs(n, channels, 1, width).expand_as(x)[rows]  # vertical stripes
        for query in range(n_queries):
            if query:
                p = share / 2 ** sum(query / n_queries > at for at in HALVINGS)
                side = min(max(round((p * height * width) ** 0.5), 1), height, width)
                inside = _squares(n, height, width, side, generator).to(x.device)[rows]
                new = torch.where(inside, signs(n, channels, 1, 1)[rows], delta[rows])
            found = margin(model(put(rows, new)), y[rows])
            better = found > reached[rows] if query else torch.ones_like(rows, dtype=torch.bool)
            delta[rows[better]], reached[rows[better]] = new[better], found[better]
            if callback:
                callback(query, put(everything, delta), reached)
            rows = rows[reached[rows] <= 0]
            if len(rows) == 0:
                break
    return put(everything, delta)


def _squares(n: int, height: int, width: int, side: int, generator: torch.Generator) -> Tensor:
    """One square per picture at a random place: (N, 1, H, W) booleans."""
    top = torch.randint(height - side + 1, (n, 1), generator=generator)
    left = torch.randint(width - side + 1, (n, 1), generator=generator)
    rows, columns = torch.arange(height), torch.arange(width)
    down = (rows >= top) & (rows < top + side)  # (N, H)
    across = (columns >= left) & (columns < left + side)  # (N, W)
    return (down[:, :, None] & across[:, None, :])[:, None]
