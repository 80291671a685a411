"""Points on a sphere that move under the contrastive loss alone, so that its pull and push can be seen at once."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.seeds import generator


def clusters_on_sphere(
    clusters: int = 6, per_cluster: int = 50, *, spread: float = 0.25, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Unit points in 3-D around evenly chosen centres: (N, 3) float64 and their cluster (N,)."""
    draw = generator(seed)
    i = torch.arange(clusters, dtype=torch.double)
    height, turn = 1 - (2 * i + 1) / clusters, i * torch.pi * (3 - 5**0.5)  # a Fibonacci lattice
    ring = (1 - height.square()).sqrt()
    centres = torch.stack([ring * turn.cos(), ring * turn.sin(), height], 1)
    labels = torch.arange(clusters).repeat_interleave(per_cluster)
    noise = torch.randn(len(labels), 3, generator=draw, dtype=torch.double)
    return F.normalize(centres[labels] + spread * noise, dim=1), labels


def contrastive_flow(
    points: Tensor, *, temperature: float, steps: int = 100, rate: float = 0.05
) -> list[Tensor]:
    """Follow the contrastive loss downhill: every point is an anchor, its own copy the positive, all others negatives.

    The positive stays at similarity one, so only the push among points acts:
    dL/du_i = sum_j (P_ij + P_ji) u_j / temperature, with P the softmax of each row. Steps are scaled by the
    temperature, which takes out the 1 / temperature in the gradient: what differs is *whom* the loss pushes.

    Args:
        points: (N, D) on the unit sphere.
        temperature: > 0.
        steps: number of steps; 0 returns the start alone.
        rate: length of a step, in units of N times the mean gradient.

    Returns:
        The points after 0, 1, ..., `steps` steps, each (N, D) on the sphere.

    Source: Wang & Liu 2021, arXiv 2012.09740.
    """
    checks.embeddings(points, "points")
    checks.positive(temperature, "temperature")
    u = F.normalize(points, dim=1)
    path = [u]
    for _ in range(steps):
        p = (u @ u.T / temperature).softmax(dim=1)
        push = (p + p.T) @ u
        push = push - (push * u).sum(1, keepdim=True) * u  # along the sphere
        u = F.normalize(u - rate * push, dim=1)
        path.append(u)
    return path
