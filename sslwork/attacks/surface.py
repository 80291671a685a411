"""The loss around a picture, along its gradient and across it."""

import torch
from torch import Tensor

from sslwork import checks, seeds
from sslwork.attacks import inputs, norms
from sslwork.attacks.objectives import objective
from sslwork.attacks.pgd import Model, slope
from sslwork.attacks.predict import BLOCK
from sslwork.embedding import evaluating


def loss_surface(
    model: Model, x: Tensor, y: Tensor, *, eps: float, norm: str = "linf", points: int = 25, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of one picture at x + a s(g) + b s(r), g its gradient and r a random direction.

    s is the step of unit size, see `attacks.pgd`. Where g is 0 that way leads nowhere, and the surface is flat along it.
    Points may lie outside the box of pictures: a network is defined there too.

    Args:
        model: pictures -> logits (N, K), differentiable.
        x: one picture (1, C, H, W); y: its label (1,).
        eps: a and b go from -eps to eps, > 0.
        points: per axis, 2 or more.
        seed: of r.

    Returns:
        The places on either axis, (points,), and the losses (points, points): row i at a_i, column j at b_j.

    Raises:
        ValueError: more than one picture, eps not above 0, fewer than two points, and whatever `attacks.pgd` refuses.
    """
    x = inputs.checked(x, norm, eps, (0.0, 1.0))
    checks.positive(eps, "eps")
    if points < 2:
        raise ValueError(f"points must be 2 or more, got {points}: one point is no surface")
    if len(x) != 1:
        raise ValueError(f"x must be one picture, (1, C, H, W), got {tuple(x.shape)}; take x[:1]")
    with evaluating(model):
        along = norms.direction(slope(objective("ce", model, x, y), x)[1], norm)
        drawn = torch.randn(x.shape, generator=seeds.generator(seed)).to(x)
        across = norms.direction(drawn, norm)
        places = torch.linspace(-eps, eps, points).to(x)
        a, b = (each.flatten()[:, None, None, None] for each in torch.meshgrid(places, places, indexing="ij"))
        found = []
        with torch.no_grad():
            for rows in torch.arange(points**2).split(BLOCK):
                at = x + a[rows] * along + b[rows] * across
                found.append(objective("ce", model, at, y.expand(len(rows)))(at))
    return places, torch.cat(found).reshape(points, points)
