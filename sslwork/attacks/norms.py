"""Balls around a picture: distance to its middle, the way to its rim, steepest steps, random points."""

from collections.abc import Callable

import torch
from torch import Tensor

NORMS = ("linf", "l2", "l2 per token")
TINY = 1e-10  # keeps a gradient of zero from dividing by zero


def length(delta: Tensor, norm: str) -> Tensor:
    """The norm of each sample's perturbation, (N,); of "l2 per token" the longest token's.

    Args:
        delta: (N, ...), or (N, T, d) for "l2 per token".
        norm: "linf", "l2" or "l2 per token".
    """
    if norm == "linf":
        return delta.abs().flatten(1).amax(1)
    return _l2(delta, norm).flatten(1).amax(1)


def project(delta: Tensor, norm: str, eps: float) -> Tensor:
    """The nearest perturbation within the ball of radius `eps`: clipped for l_inf, shortened for l_2.

    Args:
        delta: (N, ...) perturbations, or (N, T, d) for "l2 per token", where each of the T rows is shortened alone.
        norm: "linf", "l2" or "l2 per token".
        eps: radius, >= 0, in the units of the pictures.

    >>> project(torch.tensor([[3.0, 4.0]]), "l2", 1.0)
    tensor([[0.6000, 0.8000]])
    """
    check_norm(norm)
    if norm == "linf":
        return delta.clamp(-eps, eps)
    return delta * (eps / _l2(delta, norm).clamp(min=max(eps, TINY)))


def place(
    x: Tensor, delta: Tensor, norm: str, eps: float, box: tuple[float, float] | None, rule: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:  # fmt: skip
    """x + delta with delta within the ball, then under a rule of its own, and last of all within the box."""
    delta = project(delta, norm, eps)
    at = x + (delta if rule is None else rule(delta))
    return at if box is None else at.clamp_(*box)


def direction(gradient: Tensor, norm: str) -> Tensor:
    """The step of unit size along the gradient: its signs, or for l_2 the gradient scaled to length one.

    Per token the signs are taken too, as in continuous attacks on language models (Xhonneux et al. 2024, arXiv 2405.15589).
    """
    if norm == "l2":
        return gradient / (_l2(gradient, norm) + TINY)
    return gradient.sign()


def stepped(delta: Tensor, gradient: Tensor, norm: str, step: float) -> Tensor:
    """delta + step * direction, in place: beside the network, an attack's time is its passes over the pictures."""
    way = direction(gradient, norm)
    return delta.add_(way.mul_(step)) if norm == "l2" else delta.add_(way, alpha=step)


def random_point(x: Tensor, norm: str, eps: float, generator: torch.Generator) -> Tensor:
    """A perturbation drawn evenly from the ball of radius `eps`, of the shape of `x`; drawn on the CPU for any device."""
    if norm == "linf":
        drawn = torch.rand(x.shape, generator=generator) * 2 - 1
        return (drawn * eps).to(x)
    drawn = torch.randn(x.shape, generator=generator)
    rows = _l2(drawn, norm)
    dimension = drawn[0].numel() if norm == "l2" else drawn.shape[-1]
    radius = torch.rand(rows.shape, generator=generator) ** (1 / dimension)  # even in volume
    return (drawn / (rows + TINY) * radius * eps).to(x)


def check_norm(norm: str) -> None:
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}; got {norm!r}")


def _l2(delta: Tensor, norm: str) -> Tensor:
    """Lengths in a shape that spreads over `delta`: of each sample, or of each token."""
    check_norm(norm)
    if norm == "l2 per token":
        return delta.norm(dim=-1, keepdim=True)  # (N, T, 1)
    return delta.flatten(1).norm(dim=1).reshape(-1, *[1] * (delta.ndim - 1))  # (N, 1, ...)
