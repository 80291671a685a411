"""Is a defence robust, or does it only hide its gradients? Nine checks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sslwork import seeds
from sslwork.attacks import norms
from sslwork.attacks.evaluate import within
from sslwork.attacks.objectives import objective
from sslwork.attacks.pgd import Model, fgsm, pgd, slope
from sslwork.attacks.predict import accuracy
from sslwork.attacks.square import square
from sslwork.embedding import evaluating

if TYPE_CHECKING:
    import pandas as pd

POINTS = 0.02 + 1e-9  # accuracies within two points, up to rounding, count as equal
MEANING = {
    "1 eps = 0 is the clean accuracy": "else the attack, or normalisation outside the model, changes the pictures",
    "2 a larger eps is no weaker": "a larger ball holds the smaller one; a rise is an attack that fails",
    "3 an unbounded attack wins": "any picture is allowed: what then survives was not found for want of a gradient",
    "4 more work is no weaker": "PGD beside FGSM, and twice the steps: weaker means the gradient misleads",
    "5 no gradient is no better": "an attack without this gradient that does better shows that the gradient is hidden",
    "6 gradients are there": "share of samples whose gradient is exactly zero: saturated or rounded",
    "7 the answer repeats": "share of answers that change when asked again: a random defence needs eot",
    "8 the gradient tells the loss": "share of the loss's changes along two lines that the gradient does not foretell: a staircase",
    "9 an adaptive attack is named": "whoever knows the defence attacks the defence",
}


def masking_report(
    model: Model,
    x: Tensor,
    y: Any,
    *,
    eps: float,
    norm: str = "linf",
    n_iter: int = 20,
    other: Model | None = None,
    adaptive: str | None = None,
    eot: int = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """Nine checks of a robust accuracy; a model that fails one may hide its gradients, and its figure counts for nothing.

    Args:
        model: pictures -> logits (N, K); a random one must draw from a generator of its own.
        x: (N, C, H, W) in [0, 1], some hundred. y: labels (N,).
        eps: of the figure that is to be believed, above 0. norm: "linf" or "l2".
        n_iter: steps of the PGD behind that figure.
        other: another model of the same task, for check 5: examples made on it. Square is tried for l_inf in any case.
        adaptive: the name of the attack that knows the defence; for a bare network say that PGD does.
        eot: gradients are averaged over so many calls; above 1, a random model passes check 7.
        seed: of the attacks.

    Returns:
        One row per check: passed, figure (in words), meaning.

    Raises:
        ValueError: eps = 0, and whatever `attacks.pgd` refuses.

    Source: after Athalye et al. 2018, arXiv 1802.00420, and Carlini et al. 2019, arXiv 1902.06705.
    """
    import pandas as pd

    if not eps > 0:
        raise ValueError(f"eps must be above 0, got {eps}: there is nothing to hide at 0")
    shared: dict[str, Any] = {"norm": norm, "eot": eot, "seed": seed}

    def left(attacked: Tensor) -> float:
        return accuracy(model, attacked, y)

    def after(radius: float, steps: int = n_iter) -> float:
        return left(pgd(model, x, y, eps=radius, n_iter=steps, **shared))

    rows: list[tuple[bool, str]] = []
    clean, again, base = left(x), _changing(model, x), after(eps)
    same = pgd(model, x, y, eps=0.0, n_iter=n_iter, **shared)
    at_zero = left(same)
    rows.append((torch.equal(same, x) and abs(at_zero - clean) <= again, f"{at_zero:.3f} of {clean:.3f}"))
    curve = [clean, after(eps / 4), after(eps / 2), base, after(2 * eps)]
    rise = max(b - a for a, b in itertools.pairwise(curve))
    rows.append((rise <= POINTS, " ".join(f"{each:.2f}" for each in curve)))
    everywhere = 1.0 if norm == "linf" else x[0].numel() ** 0.5
    unbounded = after(everywhere, 2 * n_iter)
    rows.append((unbounded <= 0.05, f"{unbounded:.3f}"))
    single, doubled = left(fgsm(model, x, y, eps=eps, **shared)), after(eps, 2 * n_iter)
    rows.append((
        base <= single + POINTS and doubled <= base + POINTS,
        f"FGSM {single:.3f}, PGD-{n_iter} {base:.3f}, PGD-{2 * n_iter} {doubled:.3f}",
    ))  # fmt: skip
    rivals = dict(_rivals(model, other, x, y, norm=norm, eps=eps, n_iter=n_iter, seed=seed))
    best = {name: left(found) for name, found in rivals.items()}
    told = ", ".join(f"{name} {value:.3f}" for name, value in best.items())
    rows.append(
        (bool(best) and base <= min(best.values()) + POINTS, f"{told or 'none tried'}; PGD {base:.3f}")
    )
    with evaluating(model):
        value = objective("ce", model, x, y)
        flat = float((slope(value, x)[1].flatten(1) == 0).all(1).double().mean())
        untold = _untold(model, x, y, norm, eps, seed)
    rows.append((flat < 0.05, f"{flat:.3f}"))
    rows.append((again == 0 or eot > 1, f"{again:.3f}" + (f", eot {eot}" if eot > 1 else "")))
    rows.append((untold < 0.25, f"{untold:.3f}"))
    rows.append((adaptive is not None, adaptive or "none named"))
    table = pd.DataFrame(rows, columns=["passed", "figure"], index=pd.Index(MEANING, name="check"))
    return table.assign(meaning=list(MEANING.values()))


@torch.no_grad()
def _changing(model: Model, x: Tensor, calls: int = 5) -> float:
    """Share of the samples that are not named alike by all of some calls."""
    with evaluating(model):
        answers = torch.stack([model(x).argmax(1) for _ in range(calls)])  # (calls, N)
    return float((answers != answers[0]).any(0).double().mean())


def _rivals(
    model: Model, other: Model | None, x: Tensor, y: Any, *, norm: str, eps: float, n_iter: int, seed: int
) -> Iterator[tuple[str, Tensor]]:
    if norm == "linf" and x.ndim == 4:
        yield "Square", square(model, x, y, eps=eps, n_queries=200, seed=seed)
    if other is not None:
        found = pgd(other, x, y, norm=norm, eps=eps, n_iter=n_iter, seed=seed)
        within(found, x, norm, eps, "transfer")
        yield "transfer", found


def _untold(model: Model, x: Tensor, y: Any, norm: str, eps: float, seed: int, pieces: int = 16) -> float:
    """How much of the loss's change along a line its gradient does not foretell, 0 to 1 and above; the worse of two lines.

    The lines lead from each sample along its gradient, and along a random direction, to the rim. On a piece the gradient
    at its middle foretells the change but for the curvature; on a staircase it foretells nothing. The median over samples.
    """
    value = objective("ce", model, x, y)
    drawn = norms.random_point(x, norm, eps, seeds.generator(seed))
    worst = 0.0
    for way in (norms.direction(slope(value, x)[1], norm), norms.direction(drawn, norm)):
        piece = way * eps / pieces
        with torch.no_grad():
            heights = torch.stack([value(x + k * piece) for k in range(pieces + 1)])  # (pieces + 1, N)
        changes = heights.diff(dim=0)
        told = torch.stack(
            [(slope(value, x + (k + 0.5) * piece)[1] * piece).flatten(1).sum(1) for k in range(pieces)]
        )
        missed, moved = (changes - told).abs().sum(0), changes.abs().sum(0)  # (N,)
        share = torch.where(moved > 0, missed / moved.clamp(min=1e-12), missed.new_ones(()))
        worst = max(worst, float(share.median()))
    return worst
