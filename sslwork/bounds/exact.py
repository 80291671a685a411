"""Tiny ReLU networks, solved exactly: the nearest change of class, and the least margin within a box."""

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sslwork import checks
from sslwork.bounds.interval import Box, corners, layers, margins
from sslwork.bounds.programme import Affine, relu_network

MOST_RELUS = 200  # beyond some dozens that may switch, a solver may not come back


class Change(NamedTuple):
    """An input (D,) and a number about it: how far away it is, or what margin it has."""

    value: float
    point: Tensor


def exact_radius(
    net: nn.Module, x: Tensor, y: Tensor | None = None, *, most: float = 1.0, box: Box = (0.0, 1.0)
) -> Tensor:
    """r* of each sample: the l_inf distance to the nearest input of another class, (N,) float64; `inf` beyond `most`.

    Exact up to the solver's tolerance of about 1e-6. 0 for a sample that is not of class y.

    Args:
        net: linear layers and ReLUs in turn, a linear layer last, a few dozen ReLUs; `nn.Flatten` may stand in front.
        x: (N, ...). y: classes (N,), by default those that the net names.
        most: how far to look; the nearer, the faster.
        box: allowed inputs; None for no limits.

    Raises:
        TypeError: layers other than linear ones and ReLUs.
        ValueError: too many ReLUs, x outside the box, most not above 0.
    """
    checks.positive(most, "most")
    with torch.no_grad():
        y = net(x).argmax(1) if y is None else checks.labels(y, len(x), "y")
    found = (
        nearest_change(net, each, int(label), most=most, box=box) for each, label in zip(x, y, strict=True)
    )
    return torch.tensor([change.value if change else math.inf for change in found], dtype=torch.double)


def nearest_change(
    net: nn.Module, x: Tensor, y: int, *, most: float = 1.0, box: Box = (0.0, 1.0)
) -> Change | None:
    """The nearest input where some z_j reaches z_y, with its l_inf distance from x; None within `most`.

    One programme for each other class: minimise r so that -r <= x' - x <= r and z_j(x') >= z_y(x').
    """
    corners(x, 0.0, box)  # refuses an x outside
    middle = x.detach().cpu().double().flatten().numpy()
    # A small box first: in it most ReLUs cannot switch, and the programme is easy.
    for reach in (most / 2**k for k in reversed(range(6))):
        if found := _within(net, middle, y, reach, box):
            return Change(found[0], torch.from_numpy(found[1]).reshape(x.shape))
    return None


def _within(net: nn.Module, x: np.ndarray, y: int, reach: float, box: Box) -> tuple[float, np.ndarray] | None:
    """Distance and place of the nearest change of class at most `reach` away."""
    *hidden, (W, b) = affine(net)
    low, high = x - reach, x + reach
    if box is not None:
        low, high = low.clip(*box), high.clip(*box)
    nearest = None
    for j, lowest in _rivals(net, low, high, y):
        if lowest > 0:  # z_j cannot reach z_y here, nor can those that follow
            break
        programme, inputs, a = relu_network(hidden, low, high)
        r, one, minus = programme.block(0, reach), np.eye(len(x)), -np.ones((len(x), 1))
        programme.at_most(x, (inputs, one), (r, minus))
        programme.at_most(-x, (inputs, -one), (r, minus))
        programme.at_most(b[j] - b[y], (a, (W[y] - W[j])[None]))
        if found := programme.minimise(r, np.ones(1)):
            reach = found[0]  # the next class has to be nearer
            nearest = reach, found[1][inputs]
    return nearest


def least_margin(net: nn.Module, lo: Tensor, hi: Tensor, y: int) -> Change:
    """The input between lo and hi (of one sample's shape, no batch) with the least z_y - max_{j != y} z_j, and that value.

    Raises:
        RuntimeError: the solver gave up, or found nothing between lo and hi.
        TypeError, ValueError: a net that cannot be solved exactly, see `exact_radius`.
    """
    *hidden, (W, b) = affine(net)
    low, high = (each.detach().cpu().double().flatten().numpy() for each in (lo, hi))
    worst = Change(math.inf, lo)
    for j, lowest in _rivals(net, low, high, y):
        if lowest >= worst.value:  # interval bounds say that neither z_j nor those that follow can do worse
            break
        programme, inputs, a = relu_network(hidden, low, high)
        found = programme.minimise(a, W[y] - W[j])
        if found is None:
            raise RuntimeError("the solver found no input between lo and hi")
        if (margin := float(found[0] + b[y] - b[j])) < worst.value:
            worst = Change(margin, torch.from_numpy(found[1][inputs]).reshape(lo.shape))
    return worst


def _rivals(net: nn.Module, low: np.ndarray, high: np.ndarray, y: int) -> list[tuple[int, float]]:
    """The other classes with interval bounds of z_y - z_j, the most dangerous first."""
    double = nn.Sequential(*[layer for layer in layers(net) if not isinstance(layer, nn.Flatten)])
    with torch.no_grad():
        found = margins(
            copy.deepcopy(double).double().cpu(),
            torch.from_numpy(low)[None],
            torch.from_numpy(high)[None],
            torch.tensor([y]),
        )
    return sorted(((j, m) for j, m in enumerate(found[0].tolist()) if j != y), key=lambda each: each[1])


def affine(net: nn.Module) -> list[Affine]:
    """The weights of each linear layer in double precision; anything but linear layers and ReLUs is refused."""
    chain = [each for each in layers(net) if not isinstance(each, nn.Flatten | nn.Identity)]
    linear = [layer for layer in chain[::2] if isinstance(layer, nn.Linear)]
    relus = [layer for layer in chain[1::2] if isinstance(layer, nn.ReLU)]
    if not chain or len(linear) != len(relus) + 1 or len(linear) + len(relus) != len(chain):
        names = ", ".join(type(layer).__name__ for layer in chain)
        raise TypeError(f"only Linear, ReLU, Linear, ... can be solved exactly, a Linear last; got {names}")
    if (count := sum(layer.out_features for layer in linear[:-1])) > MOST_RELUS:
        raise ValueError(
            f"{count} ReLUs are too many to be solved exactly, {MOST_RELUS} at most; use bounds.ibp"
        )
    if linear[-1].out_features < 2:
        raise ValueError("the last layer must have a logit for each of two classes or more, got one")
    pairs = []
    for layer in linear:
        W = layer.weight.detach().cpu().double().numpy()
        b = np.zeros(len(W)) if layer.bias is None else layer.bias.detach().cpu().double().numpy()
        pairs.append((W, b))
    return pairs
