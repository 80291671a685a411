"""What an attack raises, one value per sample: wrong answers have high values. Never averaged over a batch."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks

Loss = Callable[..., Tensor]  # (logits or pictures, labels) -> (N,)
TINY = 1e-12


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """-log softmax(z)_y, (N,)."""
    return F.cross_entropy(logits, y, reduction="none")


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """max_{j != y} z_j - z_y, (N,): above 0 if and only if the answer is wrong.

    Source: Carlini and Wagner 2017, arXiv 1608.04644.
    """
    own = F.one_hot(y, logits.shape[1]).bool()
    return logits.masked_fill(own, -torch.inf).amax(1) - logits[own]


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """Difference of logits ratio, -(z_y - max_{j != y} z_j) / (z_(1) - z_(3)), (N,): of the sign of `margin`.

    Unlike cross-entropy it stays as it is when all logits are scaled by a > 0 or shifted: a network cannot hide behind
    large logits. At least three classes.

    Source: Croce and Hein 2020, arXiv 2003.01690.
    """
    top = _sorted(logits, 3, "dlr")
    return margin(logits, y) / (top[:, 0] - top[:, 2] + TINY)


def dlr_targeted(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2), (N,): above 0 if the target t beats the true class y.

    At least four classes. Source: Croce and Hein 2020, arXiv 2003.01690.
    """
    top = _sorted(logits, 4, "dlr_targeted")
    gain = logits.gather(1, target[:, None]) - logits.gather(1, y[:, None])  # (N, 1)
    return gain[:, 0] / (top[:, 0] - top[:, 2:].mean(1) + TINY)


def kl(logits: Tensor, clean: Tensor) -> Tensor:
    """KL(p(x) || p(x')), (N,): how far the answer has moved from the clean logits, whatever is right.

    Source: Zhang et al. 2019 (TRADES), arXiv 1901.08573.
    """
    # Through log-probabilities: a probability that rounds to 0 must not end as 0 times minus infinity.
    p, q = F.log_softmax(clean, 1), F.log_softmax(logits, 1)
    return F.kl_div(q, p, reduction="none", log_target=True).sum(1)


NAMED: dict[str, Loss] = {"ce": cross_entropy, "margin": margin, "dlr": dlr, "kl": kl}


def objective(
    loss: str | Loss, model: Callable[[Tensor], Tensor] | None, x: Tensor, y: Any, *, targeted: bool = False, eot: int = 1
) -> Callable[[Tensor], Tensor]:  # fmt: skip
    """The function pictures -> (N,) that an attack raises, with its arguments checked at `x`."""
    if isinstance(loss, str):
        if loss not in NAMED:
            raise ValueError(f"loss must be one of {', '.join(NAMED)} or a function; got {loss!r}")
        if model is None:
            raise ValueError(
                f"loss {loss!r} needs logits: give a model, or a loss of the pictures themselves"
            )
        if loss == "kl":
            with torch.no_grad():
                y = logits(model, x)
        else:
            y = checks.labels(y, len(x), "y").to(x.device)
        loss = _guarded(NAMED[loss], len(x), 0 if loss == "kl" else int(y.max()))

    def value(at: Tensor) -> Tensor:
        draws = [loss(at if model is None else model(at), y) for _ in range(eot)]
        found = sum(draws[1:], draws[0]) / eot if eot > 1 else draws[0]
        if found.shape != (len(x),):
            raise ValueError(
                f"loss must give one value per sample, {len(x)} in all; got shape {tuple(found.shape)}; use reduction='none'"
            )
        return -found if targeted else found

    return value


def _guarded(loss: Loss, n: int, highest: int) -> Loss:
    """The loss, if these are logits of n samples with a column for every label: looked at without another forward pass."""

    def guarded(z: Tensor, y: Tensor) -> Tensor:
        _shaped(z, n)
        _column(z, highest)
        return loss(z, y)

    return guarded


def _shaped(z: Tensor, n: int) -> None:
    if z.ndim != 2 or len(z) != n or z.shape[1] < 2:
        raise ValueError(f"model must map {n} pictures to logits ({n}, K), K >= 2; got {tuple(z.shape)}")


def _column(z: Tensor, highest: int) -> None:
    if highest >= z.shape[1]:
        raise ValueError(
            f"y holds class {highest}, but the model has {z.shape[1]} logits (classes 0 to {z.shape[1] - 1})"
        )


def logits(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What the model answers, (N, K), checked."""
    found = model(x)
    _shaped(found, len(x))
    if not torch.isfinite(found).all():
        raise ValueError(
            "model gives NaN or infinite logits on the pictures as they are; look at its weights"
        )
    return found


def labels(y: Any, answers: Tensor) -> Tensor:
    """`y` as class indices that these logits (N, K) have a column for."""
    y = checks.labels(y, len(answers), "y").to(answers.device)
    if len(y):
        _column(answers, int(y.max()))
    return y


def _sorted(logits: Tensor, least: int, name: str) -> Tensor:
    """The `least` highest logits of each row, falling."""
    if logits.shape[1] < least:
        raise ValueError(f"{name} needs {least} classes or more, got {logits.shape[1]}; use 'margin'")
    return logits.topk(least, dim=1).values
