"""What filters hold against attackers who know nothing of them, run them, or differentiate them."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sslwork import attacks, checks
from sslwork.purify.controls import Control
from sslwork.purify.filter import KNOWLEDGE, Filter, Guarded
from sslwork.seeds import generator

if TYPE_CHECKING:
    import pandas as pd

NONE = "none"


def table(
    model: Callable[[Tensor], Tensor], filters: Mapping[str, Filter], x: Tensor, y: Tensor, *, eps: float,
    norm: str = "linf", n_iter: int = 20, restarts: int = 1, eot: int = 1, seed: int = 0,
) -> "pd.DataFrame":  # fmt: skip
    """Accuracy of one classifier behind each filter, under attackers who know more and more.

    One row per filter and attack: accuracy with its Wilson interval. The attacks: "clean"; "noise" (+-eps at random in
    every value, the control); "FGSM" and "PGD" on the classifier alone, the same pictures for all filters; "BPDA" and
    "adaptive" (see `Guarded`), PGD too; "worst": right under all of them. The first rows, filter "none", are without one.

    Args:
        model: pictures -> logits (N, K).
        filters: name -> `Filter`.
        x, y: pictures (N, C, H, W) in [0, 1] and labels (N,).
        eps: radius, in pixel values.
        norm, n_iter, restarts: as for `attacks.pgd`.
        eot: draws averaged for filters that are not deterministic.
        seed: of random starts and noise.

    Returns:
        Columns filter, attack, eps, accuracy, low, high, n.

    Raises:
        ValueError: a filter called "none"; what `attacks.pgd` refuses.
    """
    import pandas as pd

    if NONE in filters:
        raise ValueError(f"no filter may be called {NONE!r}: those rows are the classifier alone")
    checks.not_negative(eps=eps)
    signs = torch.randint(0, 2, x.shape, generator=generator(seed, 1)).to(x) * 2 - 1
    strength: dict[str, Any] = {
        "norm": norm,
        "eps": eps,
        "n_iter": n_iter,
        "restarts": restarts,
        "seed": seed,
    }
    unseen = {
        "clean": x,
        "noise": (x + attacks.project(signs * eps, norm, eps)).clamp(0, 1),
        "FGSM": attacks.fgsm(model, x, y, norm=norm, eps=eps),
        "PGD": attacks.pgd(model, x, y, **strength),
    }
    rows = []
    for name, one in {NONE: Control(), **filters}.items():
        behind = Guarded(model, one)
        held = {attack: attacks.right(behind, pictures, y) for attack, pictures in unseen.items()}
        for knowledge in KNOWLEDGE[1:] if name != NONE else ():
            seen = Guarded(model, one, knowledge)
            found = attacks.pgd(seen, x, y, **strength, eot=1 if one.deterministic else eot)
            held[knowledge] = attacks.right(behind, found, y)
        held["worst"] = torch.stack(list(held.values())).all(0)
        for attack, right in held.items():
            low, high = attacks.wilson(int(right.sum()), len(right))
            told = {"filter": name, "attack": attack, "eps": eps, "accuracy": float(right.double().mean())}
            rows.append(told | {"low": low, "high": high, "n": len(right)})
    return pd.DataFrame(rows)
