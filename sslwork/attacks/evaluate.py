"""A ladder of attacks: each stage tries only what is still named right, and the last figure is the one to quote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sslwork.attacks import norms
from sslwork.attacks.apgd import apgd, apgd_targeted
from sslwork.attacks.intervals import wilson
from sslwork.attacks.objectives import logits
from sslwork.attacks.pgd import Model, fgsm, pgd
from sslwork.attacks.predict import right
from sslwork.attacks.square import square
from sslwork.embedding import evaluating

if TYPE_CHECKING:
    import pandas as pd

Attack = Callable[..., Tensor]  # attack(model, x, y, norm=, eps=, seed=) -> x'
SLACK = 1e-5  # rounding, in the units of the pictures


def _square(model: Model, x: Tensor, y: Tensor, *, norm: str, **more: Any) -> Tensor:
    return square(model, x, y, **more)


def _targeted(model: Model, x: Tensor, y: Tensor, **more: Any) -> Tensor:
    with torch.no_grad(), evaluating(model):
        classes = logits(model, x[:1]).shape[1]
    if classes < 4:  # too few for the targeted loss
        return apgd(model, x, y, loss="margin", **more)
    return apgd_targeted(model, x, y, targets=min(3, classes - 1), **more)


LADDER: dict[str, Attack] = {
    "FGSM": fgsm,
    "PGD-20": pgd,
    "APGD-CE": apgd,
    "APGD-DLR targeted": _targeted,
    "Square, 500 queries": _square,
}


def survivors(
    model: Model, x: Tensor, y: Any, *, eps: float, norm: str = "linf",
    ladder: Sequence[str | tuple[str, Attack]] | None = None, other: Model | None = None, eot: int = 1, seed: int = 0,
) -> dict[str, Tensor]:  # fmt: skip
    """After each stage of the ladder the samples still named right, stage -> (N,) booleans; arguments as for `evaluate`."""
    stages = _stages(norm, ladder, other, eot)
    kept = {"clean": right(model, x, y)}
    left = kept["clean"]
    y = torch.as_tensor(y, device=left.device)
    for name, attack in stages.items():
        rows = left.nonzero().flatten()
        left = left.clone()
        if len(rows):
            found = attack(model, x[rows], y[rows], norm=norm, eps=eps, seed=seed)
            within(found, x[rows], norm, eps, name)
            left[rows] = right(model, found, y[rows])
        kept[name] = left
    return kept


def evaluate(
    model: Model, x: Tensor, y: Any, *, eps: float, norm: str = "linf",
    ladder: Sequence[str | tuple[str, Attack]] | None = None, other: Model | None = None, eot: int = 1, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Accuracy after each attack of a ladder, a sample counted as robust only if named right clean and under all so far.

    Args:
        model: pictures -> logits (N, K), differentiable.
        x: (N, C, H, W) in [0, 1]. y: labels (N,).
        eps: radius of the ball, >= 0; norm: "linf" or "l2" (without Square, which is an attack of l_inf).
        ladder: stages in their order: names of `attacks.LADDER`, or (name, attack) with
            `attack(model, x, y, *, norm, eps, seed) -> x'`, e.g. one that knows the defence. By default all of them.
        other: another model of the same task: a last stage, "transfer", attacks that one and shows what it found.
        eot: gradients of a random model are averaged over this many calls.
        seed: of the random starts.

    Returns:
        One row per stage: tried, broken, accuracy, low, high (95 %, Wilson). The last accuracy is the one to quote.

    Raises:
        ValueError: a stage that is not there, an attack that left the ball or the box, and whatever `attacks.pgd` refuses.

    Source: after AutoAttack, Croce and Hein 2020, arXiv 2003.01690, which also holds FAB, and 5,000 queries of Square.
    """
    import pandas as pd

    kept = survivors(model, x, y, eps=eps, norm=norm, ladder=ladder, other=other, eot=eot, seed=seed)
    rows, tried = [], len(x)
    for name, left in kept.items():
        count = int(left.sum())
        low, high = wilson(count, len(x))
        rows.append((name, tried, tried - count, count / len(x), low, high))
        tried = count
    return pd.DataFrame(rows, columns=["stage", "tried", "broken", "accuracy", "low", "high"]).set_index(
        "stage"
    )


def _stages(
    norm: str, ladder: Sequence[str | tuple[str, Attack]] | None, other: Model | None, eot: int
) -> dict[str, Attack]:
    if ladder is None:
        ladder = [name for name, attack in LADDER.items() if norm == "linf" or attack is not _square]
    stages: dict[str, Attack] = {}
    for stage in ladder:
        if isinstance(stage, str):
            if stage not in LADDER:
                raise ValueError(f"there is no stage {stage!r}; there are {', '.join(LADDER)}")
            if LADDER[stage] is _square and norm != "linf":
                raise ValueError(f"{stage} is an attack of l_inf; leave it out for norm {norm!r}")
            blind = LADDER[stage] is _square  # asks for answers, not for gradients
            stages[stage] = LADDER[stage] if blind or eot == 1 else partial(LADDER[stage], eot=eot)
        else:
            stages[stage[0]] = stage[1]
    if other is not None:
        stages["transfer"] = lambda _, x, y, **more: pgd(other, x, y, **more)
    return stages


def within(found: Tensor, x: Tensor, norm: str, eps: float, name: str) -> None:
    """A clear error unless what the attack `name` found lies in the ball around x and in [0, 1]."""
    if found.shape != x.shape:
        raise ValueError(
            f"{name} turned {tuple(x.shape)} into {tuple(found.shape)}; an attack keeps the shape"
        )
    far, low, high = float(norms.length(found - x, norm).max()), float(found.min()), float(found.max())
    if not (far <= eps + SLACK * (1 + eps) and low >= -SLACK and high <= 1 + SLACK):  # NaN fails it
        raise ValueError(
            f"{name} left the ball or the box: distance {far:.4g} for eps {eps:g}, values {low:.3g} to {high:.3g}"
        )
