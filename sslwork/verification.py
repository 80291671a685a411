"""Safety verification: search a region to the end, or prove that no input of it changes the class.

Four ways to one kind of verdict. `ladders` looks at every point of a grid, and knows nothing of what lies between. `prove`
cuts the region into cells until interval bounds settle each. `prove_at` does so behind a layer, where it may be
easier. `solve` hands a tiny net to an exact solver.

Source: Huang, Kwiatkowska, Wang and Wu 2017 (DLV), arXiv 1610.06940.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from sslwork import bounds
from sslwork.attacks.objectives import logits
from sslwork.embedding import evaluating

SAFE, UNSAFE, UNKNOWN = "SAFE", "UNSAFE", "UNKNOWN"
TOLERANCE = 1e-9  # a margin that a tie or rounding could explain proves nothing
SOLVED = 1e-6  # nor does one within the gap at which the solver stops
BLOCK = 8192  # points at a time
MOST_POINTS = 2_000_000


@dataclass(frozen=True)
class Verdict:
    """What was found of one region.

    Args:
        outcome: SAFE (proved, for `ladders` of its grid points only), UNSAFE (`point` is an input of another class) or
            UNKNOWN (the budget ended, or what was found may not be reachable).
        point: of the shape of the input.
        looked: points, cells or programmes that it took.
        cells: (lo, hi, state) of the cells (n, ...) that were settled, by state: for a picture.
    """

    outcome: str
    point: Tensor | None = None
    looked: int = 1
    cells: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)


def most_deviating(activation: Tensor, count: int) -> list[int]:
    """The `count` dimensions of one sample's activation (...) that deviate most from its mean, as flat indices.

    Raises:
        ValueError: more than there are, or none.
    """
    flat = activation.flatten()
    if not 1 <= count <= len(flat):
        raise ValueError(f"count must lie in 1..{len(flat)}, the dimensions of the activation; got {count}")
    return (flat - flat.mean()).abs().topk(count).indices.tolist()


def region(
    x: Tensor, dims: Sequence[int], radius: float, *, box: bounds.Box = (0.0, 1.0)
) -> tuple[Tensor, Tensor]:
    """Corners lo, hi of the region eta: x (...) with the flat dimensions `dims` free by +- radius, within the box."""
    lo, hi = bounds.corners(x[None], radius, box)
    free = torch.zeros(x.numel(), dtype=torch.bool)
    free[list(dims)] = True
    free = free.reshape(x.shape).to(x.device)
    return torch.where(free, lo[0], x), torch.where(free, hi[0], x)


def ladders(
    model: Callable[[Tensor], Tensor], x: Tensor, y: int, dims: Sequence[int], *, span: float, count: int,
    box: bounds.Box = (0.0, 1.0),
) -> Verdict:  # fmt: skip
    """Every point x + span (k_1, ..., k_P) on `dims`, -count <= k_p <= count, within the box; the nearest class change.

    All of them are reached by ladders of single steps that stay in the region. SAFE says nothing of what lies between.

    Args:
        model: (N, ...) -> logits (N, K).
        x: one sample (...). y: its class.
        dims: flat indices P_0 of the dimensions that move.
        span, count: s_p > 0, in units of x, and m_p >= 0; (2 m + 1)^P points.

    Raises:
        ValueError: span or count out of range, more points than anyone waits for, x outside the box.
    """
    if span <= 0 or count < 0:
        raise ValueError(f"span must be above 0 and count 0 or more, got {span} and {count}")
    if (total := (2 * count + 1) ** len(dims)) > MOST_POINTS:
        raise ValueError(
            f"{total:,} points are too many, {MOST_POINTS:,} at most; take fewer dims or a smaller count"
        )
    bounds.corners(x[None], 0.0, box)  # refuses an x outside
    moves = sorted(range(-count, count + 1), key=abs)
    steps = torch.tensor(list(itertools.product(moves, repeat=len(dims))), dtype=x.dtype, device=x.device)
    moved = x.flatten()[list(dims)] + span * steps  # (points, P)
    if box is not None:
        steps, moved = (each[((moved >= box[0]) & (moved <= box[1])).all(1)] for each in (steps, moved))
    # Nearest first: by the largest move, then by all of them.
    order = (steps.double().abs().amax(1) * 1e6 + steps.square().sum(1)).argsort(stable=True) if dims else [0]
    for rows in moved[order].split(BLOCK):
        points = x.flatten().repeat(len(rows), 1)
        points[:, list(dims)] = rows
        points = points.reshape(-1, *x.shape)
        other = (_answers(model, points) != y).nonzero().flatten()
        if len(other):
            return Verdict(UNSAFE, points[other[0]], len(moved))
    return Verdict(SAFE, looked=len(moved))


def prove(
    model: nn.Module, lo: Tensor, hi: Tensor, y: int, *, smallest: float = 1e-3, budget: int = 20_000
) -> Verdict:
    """Branch and bound: a cell is safe if interval bounds keep its margin above 0, unsafe if its middle has another class.

    Any other cell is halved along its longest side, until that is shorter than `smallest`: such a cell stays unknown.

    Args:
        model: as for `bounds.ibp`, its last layer linear; worked with in double precision.
        lo, hi: corners of one region (...), of the shape of a sample.
        y: the class it should have everywhere.
        budget: cells to look at.

    Raises:
        ValueError, TypeError: corners or layers that `bounds.margins` refuses, NaN from the model.
    """
    double = copy.deepcopy(model).double().eval()
    low, high = lo[None].double(), hi[None].double()
    settled: dict[str, list[tuple[Tensor, Tensor]]] = {SAFE: [], UNKNOWN: [], UNSAFE: []}
    point, looked = None, 0
    while len(low):
        keep = max(0, budget - looked)
        if keep < len(low):
            settled[UNKNOWN].append((low[keep:], high[keep:]))
            low, high = low[:keep], high[:keep]
            if not keep:
                break
        looked += len(low)
        with torch.no_grad():
            labels = torch.full((len(low),), y, device=low.device)
            safe = (bounds.margins(double, low, high, labels) > TOLERANCE).all(1)
        middle = ((low + high) / 2).to(lo.dtype)  # as the model itself will be asked
        wrong = ~safe & (_answers(model, middle) != y)
        if wrong.any():
            point = middle[wrong][0]
        tiny = ~safe & ~wrong & ((high - low).flatten(1).amax(1) < smallest)
        for state, which in ((SAFE, safe), (UNSAFE, wrong), (UNKNOWN, tiny)):
            settled[state].append((low[which], high[which]))
        if point is not None:
            settled[UNKNOWN].append((low[~(safe | wrong)], high[~(safe | wrong)]))
            break
        low, high = _halved(low[~(safe | tiny)], high[~(safe | tiny)])
    cells = {state: (torch.cat([a for a, _ in found]), torch.cat([b for _, b in found]))
             for state, found in settled.items() if found}  # fmt: skip
    open_ends = len(cells[UNKNOWN][0]) if UNKNOWN in cells else 0
    return Verdict(UNSAFE if point is not None else UNKNOWN if open_ends else SAFE, point, looked, cells)


def prove_at(
    model: nn.Module, lo: Tensor, hi: Tensor, y: int, layer: int, *, smallest: float = 1e-3, budget: int = 20_000
) -> Verdict:  # fmt: skip
    """`prove` behind the first `layer` layers, for the box around all that they can make of the region.

    SAFE there is SAFE here. A change of class found there may be one that no input reaches: UNKNOWN.

    Raises:
        ValueError: a layer that is not there, and what `prove` refuses.
    """
    chain = bounds.layers(copy.deepcopy(model).double().eval())
    if not 0 <= layer < len(chain):
        raise ValueError(f"layer must lie in 0..{len(chain) - 1}, got {layer}")
    if layer == 0:
        return prove(model, lo, hi, y, smallest=smallest, budget=budget)
    with torch.no_grad():
        low, high = bounds.ibp(nn.Sequential(*chain[:layer]), lo[None].double(), hi[None].double())
    found = prove(nn.Sequential(*chain[layer:]), low[0], high[0], y, smallest=smallest, budget=budget)
    return Verdict(SAFE if found.outcome == SAFE else UNKNOWN, None, found.looked, found.cells)


def solve(net: nn.Module, lo: Tensor, hi: Tensor, y: int) -> Verdict:
    """The exact verdict of a tiny ReLU net, by its least margin in the region (`bounds.least_margin`).

    A point of another class is asked of the net once more: UNKNOWN if rounding hides the change, or for a tie.
    """
    margin, point = bounds.least_margin(net, lo, hi, y)
    point = point.to(lo)
    if margin > SOLVED:
        return Verdict(SAFE)
    inside = torch.minimum(torch.maximum(point, lo), hi)
    wrong = bool((_answers(net, inside[None]) != y).all())
    return Verdict(UNSAFE, inside) if wrong else Verdict(UNKNOWN)


@torch.no_grad()
def _answers(model: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    with evaluating(model):
        return logits(model, points).argmax(1)


def _halved(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Both halves of each cell (n, ...), cut across its longest side: (2 n, ...)."""
    shape, a, b = low.shape, low.flatten(1), high.flatten(1)
    rows, longest = torch.arange(len(a), device=a.device), (b - a).argmax(1)
    middle = (a[rows, longest] + b[rows, longest]) / 2
    left, right = b.clone(), a.clone()
    left[rows, longest], right[rows, longest] = middle, middle
    return torch.cat([a, right]).reshape(-1, *shape[1:]), torch.cat([left, b]).reshape(-1, *shape[1:])
