"""Sorting with a gradient: the odd-even network with soft comparators."""

import math

import torch
from torch import Tensor

from sslwork import checks


def sort_relaxed(x: Tensor, *, steepness: float = 1.0) -> tuple[Tensor, Tensor]:
    r"""Sort the last axis, ascending, softly: each comparator of the odd-even network swaps in part.

    Layer l compares the wires (0, 1), (2, 3), ... if l is even, and (1, 2), (3, 4), ... if it is odd; there are as many
    layers as wires. A comparator of a with b, its right neighbour, mixes the two:

        p = 1/2 + arctan(steepness (b - a)) / pi,    a <- p a + (1 - p) b,    b <- (1 - p) a + p b

    Args:
        x: (..., n) floating point, n >= 1.
        steepness: >= 0, per unit of x; at 0 every comparator averages, large ones sort exactly.

    Returns:
        The relaxed values (..., n), whose sum is that of x, and P (..., n, n), rows and columns of which sum to one:
        P[i, r] is the probability that input i ends at rank r, 0 the smallest.

    Raises:
        TypeError, ValueError: not floating point, no wire, NaN, steepness < 0.

    Source: Petersen, Borgelt, Kuehne, Deussen 2021, arXiv 2105.04019 (networks); 2022, arXiv 2203.09630 (this
    comparator, monotonic).

    >>> values, P = sort_relaxed(torch.tensor([2.0, 1.0]))
    >>> values, P
    (tensor([1.2500, 1.7500]), tensor([[0.2500, 0.7500],
            [0.7500, 0.2500]]))
    """
    checks.not_negative(steepness=steepness)
    if not x.is_floating_point():
        raise TypeError(f"x must hold floating-point numbers, got {x.dtype}; convert it with x.float()")
    if x.ndim == 0 or x.shape[-1] == 0 or not torch.isfinite(x).all():
        raise ValueError(
            f"x must be (..., n) finite numbers, n >= 1; got shape {tuple(x.shape)}, or NaN in it"
        )
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    n = x.shape[-1]
    eye = torch.eye(n, dtype=x.dtype, device=x.device).expand(*x.shape[:-1], n, n)
    wires = torch.cat(
        [x[..., None, :], eye], -2
    )  # (..., 1 + n, n): the values, and the columns of P under them
    for layer in range(n):
        first, last = layer % 2, n - (n - layer) % 2  # wires without a neighbour pass
        if first == last:
            break
        a, b = wires[..., first:last:2], wires[..., first + 1 : last : 2]  # (..., 1 + n, pairs)
        p = 0.5 + torch.arctan(steepness * (b - a)[..., :1, :]) / math.pi  # (..., 1, pairs)
        left = p * a + (1 - p) * b
        mixed = torch.stack([left, a + b - left], -1).flatten(-2)
        wires = torch.cat([wires[..., :first], mixed, wires[..., last:]], -1)
    return wires[..., 0, :], wires[..., 1:, :]
