"""APGD: projected gradient ascent that finds its own step size."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sslwork import seeds
from sslwork.attacks import inputs, norms
from sslwork.attacks.objectives import Loss, dlr_targeted, labels, logits, objective
from sslwork.attacks.pgd import Model, higher, slope
from sslwork.attacks.predict import right
from sslwork.embedding import evaluating

MOMENTUM = 0.75  # weight of the new step beside the last one
CLIMBS = 0.75  # share of steps that must raise the loss, or the step is halved


def apgd(
    model: Model | None,
    x: Tensor,
    y: Any = None,
    *,
    norm: str = "linf",
    eps: float,
    n_iter: int = 50,
    loss: str | Loss = "ce",
    random_start: bool = True,
    eot: int = 1,
    box: tuple[float, float] | None = (0.0, 1.0),
    callback: Callable[[int, Tensor, Tensor], object] | None = None,
    seed: int | torch.Generator = 0,
) -> Tensor:
    r"""PGD with momentum, whose step starts at 2 eps and is halved where it no longer helps, sample by sample.

        u = Pi(x_k + eta s(g_k)),   x_{k+1} = Pi(x_k + 0.75 (u - x_k) + 0.25 (x_k - x_{k-1}))

    At each of `checkpoints(n_iter)` eta is halved, and the best point so far taken up again, if fewer than 75 % of the
    steps since the last one raised the loss, or if eta was not halved there and the best loss has not changed since.

    Args:
        n_iter: steps; each is one gradient.
        model, x, y, norm, eps, loss, random_start, eot, box, callback, seed: as for `attacks.pgd`.

    Raises:
        TypeError, ValueError: as `attacks.pgd`.

    Source: Croce and Hein 2020, arXiv 2003.01690.
    """
    x = inputs.checked(x, norm, eps, box)
    inputs.whole(n_iter=n_iter, eot=eot)
    if len(x) == 0:
        return x.clone()
    generator = seed if isinstance(seed, torch.Generator) else seeds.generator(seed)
    each = (-1, *[1] * (x.ndim - 1))  # a number per sample, spread over the picture

    def place(at: Tensor) -> Tensor:
        return norms.place(x, at - x, norm, eps, box)

    with evaluating(model):  # type: ignore[arg-type]
        value = objective(loss, model, x, y, eot=eot)
        at = place(x + norms.random_point(x, norm, eps, generator)) if random_start else x
        raised, gradient = slope(value, at)
        before, best, highest, best_gradient = at, at, raised, gradient
        eta, climbs = x.new_full((len(x),), 2 * eps), torch.zeros_like(raised)
        mark, at_mark, halved, marks = (
            0,
            highest,
            torch.zeros_like(raised, dtype=torch.bool),
            checkpoints(n_iter),
        )
        for k in range(n_iter):
            if callback:
                callback(k, at, raised)
            u = place(at + eta.reshape(each) * norms.direction(gradient, norm))
            pull = MOMENTUM if k else 1.0  # there is no last step at first
            before, at = at, place(at + pull * (u - at) + (1 - pull) * (at - before))
            was, (raised, gradient) = raised, slope(value, at)
            climbs += raised > was
            best_gradient = torch.where((raised > highest).reshape(each), gradient, best_gradient)
            best, highest = higher(best, highest, at, raised)
            if k + 1 in marks:
                stuck = ~halved & (highest == at_mark)
                halved = (climbs < CLIMBS * (k + 1 - mark)) | stuck
                eta = torch.where(halved, eta / 2, eta)
                at, gradient = (
                    torch.where(halved.reshape(each), kept, now) for kept, now in ((best, at), (best_gradient, gradient))
                )  # fmt: skip
                raised = torch.where(halved, highest, raised)
                mark, at_mark, climbs = k + 1, highest, torch.zeros_like(climbs)
    return best


def checkpoints(n_iter: int) -> list[int]:
    """Steps after which the step size is looked at: ceil(p_j n_iter), ever closer, from 22 % to 6 % of the budget apart.

    p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06), up to 1.

    >>> checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    before, p, found = 0.0, 0.22, []
    while p <= 1:
        found.append(math.ceil(round(p * n_iter, 9)))  # rounded: 0.57 * 100 is a little more than 57
        before, p = p, p + max(p - before - 0.03, 0.06)
    return sorted(set(found))


def apgd_targeted(model: Model, x: Tensor, y: Any, *, targets: int = 3, **more: Any) -> Tensor:
    """APGD on the targeted DLR loss, once towards each of the likeliest wrong classes, until one of them succeeds.

    Args:
        model: pictures -> logits of K >= 4 classes; y: their labels (N,).
        targets: how many wrong classes are tried, 1 to K - 1, in falling order of the clean logits.
        more: as for `apgd`.

    Source: Croce and Hein 2020, arXiv 2003.01690 (there 9 targets, 100 steps each).
    """
    best = x.detach().clone()
    if len(x) == 0:
        return best
    with torch.no_grad(), evaluating(model):
        clean = logits(model, x)
    y = labels(y, clean)
    if not 1 <= targets < clean.shape[1]:
        raise ValueError(
            f"targets must lie in 1..{clean.shape[1] - 1}, the number of wrong classes; got {targets}"
        )
    wrong = clean.scatter(1, y[:, None], -torch.inf).argsort(
        1, descending=True
    )  # (N, K), the true class last
    left = right(model, x, y)
    for rank in range(targets):
        rows = left.nonzero().flatten()
        if len(rows) == 0:
            break
        target = wrong[rows, rank]
        best[rows] = apgd(
            model, x[rows], y[rows], loss=lambda z, own, goal=target: dlr_targeted(z, own, goal), **more
        )
        left[rows] = right(model, best[rows], y[rows])
    return best
