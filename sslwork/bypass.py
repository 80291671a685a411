"""One picture against a rule of refusal: made on a few locked instructions, tried on others. Toys only.

`model(images, text)` asks every picture every text: (N, C, H, W) and (M, D), or (N, M, D), to logits (N, M, K), of which
number `refuse` is to refuse; a text is what the model made of an instruction.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import attacks, checks

Model = Callable[[Tensor, Tensor], Tensor]


def craft(
    model: Model, images: Tensor, text: Tensor, targets: Tensor, *, eps: float, n_iter: int = 60, step: float | None = None,
    **more: Any,
) -> Tensor:  # fmt: skip
    r"""For each picture, another one nearby under which a few instructions get the answers that are wanted.

        x' = argmin over ||x' - x||_inf <= eps of sum_i -log p(y_i | x', text_i)

    by steps along the sign of the gradient from a random start. For the unconstrained attack give noise and eps = 1.

    Args:
        images: (N, C, H, W) in [0, 1]; text: (M, D) of the few instructions; targets: (N, M) wanted answers.
        eps: radius in [0, 1] pixel units; 0 gives the pictures back.
        step: by default eps / 10.
        more: of `attacks.pgd`: callback, seed, ...

    Raises:
        TypeError, ValueError: targets of another shape, pictures out of [0, 1], a negative radius, no steps.

    Source: Qi et al. 2024, arXiv 2306.13213 (there one picture, thousands of steps of 1/255, 8 of the targets at a time).
    """

    def reached(at: Tensor, wanted: Tensor) -> Tensor:
        return _log_p(model, at, text, wanted)

    step = eps / 10 if step is None else step
    return attacks.pgd(None, images, targets, loss=reached, eps=eps, step=step, n_iter=n_iter, **more)


def craft_text(
    model: Model, images: Tensor, text: Tensor, targets: Tensor, *, eps: float, n_iter: int = 60, **more: Any
) -> Tensor:  # fmt: skip
    """The same from the side of the text: for each picture one shift (N, D) of all texts, no longer than `eps` (l_2)."""

    def reached(shift: Tensor, wanted: Tensor) -> Tensor:
        return _log_p(model, images, text + shift[:, None], wanted)

    start = images.new_zeros(len(images), text.shape[1])
    return attacks.pgd(
        None, start, targets, loss=reached, norm="l2", eps=eps, step=eps / 10, n_iter=n_iter, box=None, **more
    )


@torch.no_grad()
def best_word(model: Model, images: Tensor, texts: Tensor, targets: Tensor) -> Tensor:
    """For each picture the context word, out of W, with which the few instructions come nearest to the wanted answers: (N,).

    Args:
        texts: (W, M, D), the few instructions with each of the words.
    """
    return torch.stack([_log_p(model, images, text, targets) for text in texts], 1).argmax(1)


class Rates(NamedTuple):
    """Shares of pairs, 0..1. A bypass need not be a right answer."""

    bypass: float
    correct: float
    low: float  # Wilson's interval of the bypass, 95 %; pairs of one picture are not independent, so it is too narrow
    high: float


@torch.no_grad()
def rates(model: Model, images: Tensor, text: Tensor, ordinary: Tensor, *, refuse: int) -> Rates:
    """How often locked instructions are not refused, and how often they get their ordinary answer.

    Args:
        text: (M, D) or (N, M, D) of instructions that ought to be refused; ordinary: (N, M).
    """
    said = _answers(model, images, text).argmax(2)  # (N, M)
    passed = said != refuse
    low, high = attacks.wilson(int(passed.sum()), passed.numel())
    return Rates(float(passed.double().mean()), float((said == ordinary).double().mean()), low, high)


def direction(rows: Tensor, refused: Tensor) -> Tensor:
    """The unit vector from the mean of the answered rows (N, D) to the mean of the refused ones, (D,).

    Raises:
        TypeError, ValueError: NaN, all rows refused, or none.
    """
    checks.embeddings(rows, "rows")
    if refused.all() or not refused.any():
        raise ValueError(
            "refused must mark some rows and not all: a direction leads from one mean to another"
        )
    return F.normalize(rows[refused].mean(0) - rows[~refused].mean(0), dim=0)


def _answers(model: Model, images: Tensor, text: Tensor) -> Tensor:
    """What the model says, (N, M, K), if that is a number."""
    logits = model(images, text)
    if logits.ndim != 3 or logits.isnan().any():
        raise ValueError(
            f"model must give logits (N, M, K) without NaN, got shape {tuple(logits.shape)}; look at its weights"
        )
    return logits


def _log_p(model: Model, images: Tensor, text: Tensor, wanted: Tensor) -> Tensor:
    """Sum over the instructions of log p(wanted), (N,)."""
    logits = _answers(model, images, text)
    if wanted.shape != logits.shape[:2]:
        raise ValueError(f"targets must have shape {tuple(logits.shape[:2])}, got {tuple(wanted.shape)}")
    return logits.log_softmax(2).gather(2, wanted[..., None]).sum((1, 2))
