"""The other side of a certified radius: the nearest change of class that an attack finds."""

import math

import torch
from torch import Tensor

from sslwork import checks
from sslwork.attacks import norms
from sslwork.attacks.pgd import Model, pgd
from sslwork.attacks.predict import right
from sslwork.bounds.interval import Box, corners


def found_radius(
    model: Model, x: Tensor, y: Tensor, *, norm: str = "linf", most: float = 1.0, box: Box = (0.0, 1.0),
    n_iter: int = 20, restarts: int = 1, random_start: bool = True, steps: int = 12, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Distance of the nearest input of another class that PGD comes upon, (N,): an upper bound of the exact radius.

    Bisection over the radius, each sample with its own; what counts is how far the found input really is. `inf` where
    nothing was found, 0 where x itself is not of class y. The attack raises the margin.

    Args:
        model: (N, ...) -> logits (N, K). x: (N, ...) within `box`. y: classes (N,).
        norm: "linf" or "l2".
        most: the largest radius tried.
        n_iter, restarts, random_start, seed: of `attacks.pgd`.
        steps: of the bisection.

    Raises:
        ValueError: x outside the box, most not above 0, and whatever `attacks.pgd` refuses.
    """
    checks.positive(most, "most")
    corners(x, 0.0, box)  # refuses an x outside
    low, high = x.new_zeros(len(x)), x.new_full((len(x),), most)
    nearest = torch.where(right(model, x, y), math.inf, 0.0).to(x)
    for k in range(steps):
        radius = (low + high) / 2 if k else high
        scale = radius.reshape(-1, *[1] * (x.ndim - 1))

        def place(delta: Tensor, scale: Tensor = scale) -> Tensor:
            return x + scale * delta if box is None else (x + scale * delta).clamp(*box)

        delta = pgd(lambda d: model(place(d)), torch.zeros_like(x), y, norm=norm, eps=1.0, loss="margin",
                    n_iter=n_iter, restarts=restarts, random_start=random_start, box=None, seed=seed)  # fmt: skip
        changed = ~right(model, place(delta), y)
        away = norms.length(place(delta) - x, norm)
        nearest = torch.where(changed & (away < nearest), away, nearest)
        low, high = torch.where(changed, low, radius), torch.where(changed, torch.minimum(high, away), high)
    return nearest
