"""Adversarial training of a language model in its embeddings: perturbed words, two losses, and a discrete attack to check.

A model here has `embed(ids)`: word numbers (N, T) to (N, T, D), and maps these embeddings to logits (N, T, V), where place t
scores the word at t + 1. Labels are (N, T), -100 on all places but the reply.
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from sslwork import attacks, checks
from sslwork.attacks import inputs
from sslwork.embedding import evaluating

IGNORED = -100
PART = 4096  # candidates judged at a time


class LanguageModel(Protocol):
    """What is asked of a model."""

    def embed(self, ids: Tensor) -> Tensor: ...

    def __call__(self, embeddings: Tensor) -> Tensor: ...


class Reply(NamedTuple):
    """Log-probabilities of the words of a reply, and which places hold one."""

    log_p: Tensor  # (N, T - 1)
    counted: Tensor  # (N, T - 1) bool

    def mean(self) -> Tensor:
        """Over the words of each reply, (N,)."""
        return (self.log_p * self.counted).sum(1) / self.counted.sum(1)

    def cross_entropy(self) -> Tensor:
        """Mean of -log p over all words of all replies."""
        return -self.log_p[self.counted].mean()


def read(logits: Tensor, labels: Tensor) -> Reply:
    """The log-probability of each label, read one place before it.

    Args:
        logits: (N, T, V); labels: (N, T), -100 where nothing is asked.

    Raises:
        ValueError: shapes that do not fit, NaN, or a row without a label.
    """
    if logits.ndim != 3 or logits.shape[:2] != labels.shape:
        raise ValueError(
            f"logits (N, T, V) and labels (N, T) do not fit: {tuple(logits.shape)}, {tuple(labels.shape)}"
        )
    counted = labels[:, 1:] != IGNORED
    if not counted.any(1).all():
        row = int((~counted.any(1)).nonzero()[0])
        raise ValueError(f"row {row} of labels asks for no word after the first; mark a reply")
    log_p = logits[:, :-1].log_softmax(2).gather(2, labels[:, 1:].clamp(min=0)[..., None]).squeeze(2)
    if log_p[counted].isnan().any():
        row = int(log_p.isnan().logical_and(counted).any(1).nonzero()[0])
        raise ValueError(f"row {row} of logits holds NaN; look at the embeddings, or lower the learning rate")
    return Reply(torch.where(counted, log_p, 0.0), counted)


def attack(
    model: LanguageModel, ids: Tensor, labels: Tensor, prompt: Tensor, *, eps: float, step: float | None = None,
    n_iter: int = 10, keep_best: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    r"""The perturbation delta (N, T, D) of the prompt's embeddings under which an unwanted reply becomes likely.

        delta <- Pi(delta - a sign(grad CE(y_bad | e(x) + delta))),   Pi: ||delta_t||_2 <= eps for each word t

    from delta = 0. The model's weights get no gradient, and the delta has none.

    Args:
        ids: (N, T) prompts with the unwanted reply; labels: (N, T) its words.
        prompt: (N, T) booleans, the words that may be moved: neither reply nor padding.
        eps: radius, in the units of the embeddings (the authors give it as a share of the mean length of a word: 0.05).
        step: a; by default 2.5 eps / (n_iter sqrt(D)), so that a word can cross its ball.
        n_iter: steps, 1 or more.
        keep_best: False gives the last point, as the authors do; True the one with the highest loss.
        more: of `attacks.pgd`, e.g. `callback`.

    Raises:
        ValueError: a prompt that holds words of the reply, no steps, a negative radius.

    Source: Xhonneux et al. 2024, arXiv 2405.15589.
    """
    if prompt.shape != ids.shape or prompt.dtype != torch.bool or (prompt & (labels != IGNORED)).any():
        raise ValueError("prompt must be booleans (N, T) which leave out every word of the reply")
    inputs.whole(n_iter=n_iter)
    with torch.no_grad():
        e = model.embed(ids)  # (N, T, D)
    step = 2.5 * eps / (n_iter * e.shape[-1] ** 0.5) if step is None else step
    with evaluating(model):
        moved = attacks.pgd(
            None, e, labels, norm="l2 per token", eps=eps, step=step, n_iter=n_iter, random_start=False, box=None,
            loss=lambda at, labels: read(model(at), labels).mean(), project=lambda delta: delta * prompt[..., None],
            keep_best=keep_best, **more,
        )  # fmt: skip
    return torch.where(prompt[..., None], moved - e, 0.0)


def c_advul(
    ok: Reply, bad: Reply, utility: Reply | None = None, *, w_u: float = 1.0, w_t: float = 0.5, w_a: float = 0.5,
    t0: float = 0.5, a0: float = -5.0, away: str = "ce",
) -> Tensor:  # fmt: skip
    r"""C-AdvUL: towards the wanted reply and away from the unwanted one under attack, and usual replies as before.

        L = w_u CE(utility) + w_t floor(CE(y_ok), t0) + w_a floor(-CE(y_bad), a0),   floor(v, c) = v, or c + 0.001 v below c

    Args:
        ok, bad: replies read under one and the same perturbation; utility: without one.
        w_u, w_t, w_a: weights, >= 0.
        t0, a0: from here on a part is good enough: a thousandth of its gradient is left. t0 >= 0 >= a0.
        away: "ce" as above, or "1-p": the mean of -log(1 - p) over the words of y_bad, a word with log p < a0 counting as 0.

    Raises:
        ValueError: negative weights, floors on the wrong side of 0, another `away`.

    Source: Xhonneux et al. 2024, arXiv 2405.15589, equation 3; the floors are of their code.
    """
    checks.not_negative(w_u=w_u, w_t=w_t, w_a=w_a, t0=t0, minus_a0=-a0)
    if away not in ("ce", "1-p"):
        raise ValueError(f'away must be "ce" or "1-p", got {away!r}')
    toward, farther = _floored(ok.cross_entropy(), t0), _floored(-bad.cross_entropy(), a0)
    if away == "1-p":
        log_p = bad.log_p[bad.counted]
        farther = torch.where(log_p < a0, 0.0, -torch.log(-torch.expm1(log_p.clamp(max=-1e-6)))).mean()
    usual = 0.0 if utility is None else w_u * utility.cross_entropy()
    return usual + w_t * toward + w_a * farther


def c_advipo(
    ok: Reply, bad: Reply, ref_ok: Tensor, ref_bad: Tensor, *, beta: float = 0.25, t0: float = 0.0, a0: float = -5.0
) -> Tensor:  # fmt: skip
    r"""C-AdvIPO: prefer the wanted reply under attack, more than a frozen reference does, by a fixed lead.

        h = [lp(y_ok) - lp(y_bad)] - [ref(y_ok) - ref(y_bad)],   L = mean over prompts of (h - 1 / (2 beta))^2

    lp is the mean log-probability per word, in which a word of y_bad below a0, or of y_ok above -t0, counts as 0.

    Args:
        ok, bad: replies read under one and the same perturbation.
        ref_ok, ref_bad: (N,), `Reply.mean()` of the reference, on clean prompts in the authors' code.
        beta: > 0; the smaller, the larger the lead.

    Raises:
        ValueError: beta <= 0; references that are not finite, or not one per prompt.

    Source: Xhonneux et al. 2024, arXiv 2405.15589; IPO: Azar et al. 2023, arXiv 2310.12036.
    """
    checks.positive(beta, "beta")
    ok = ok._replace(log_p=torch.where(ok.log_p > -t0, 0.0, ok.log_p))
    bad = bad._replace(log_p=torch.where(bad.log_p < a0, 0.0, bad.log_p))
    for name, ref in (("ref_ok", ref_ok), ("ref_bad", ref_bad)):
        if ref.shape != (len(ok.log_p),) or not torch.isfinite(ref).all():
            raise ValueError(
                f"{name} must hold one finite number per prompt, ({len(ok.log_p)},); got shape {tuple(ref.shape)}"
            )
    h = (ok.mean() - bad.mean()) - (ref_ok - ref_bad)  # (N,)
    return (h - 1 / (2 * beta)).square().mean()


def _floored(value: Tensor, least: float) -> Tensor:
    return torch.where(value < least, least + 0.001 * value, value)


def greedy_coordinate(
    model: LanguageModel, ids: Tensor, labels: Tensor, places: Tensor, words: Tensor, *, rounds: int = 20, top: int = 8
) -> Tensor:  # fmt: skip
    """The prompts with other words at `places`, chosen so that an unwanted reply becomes likely: the discrete attack.

    Each round asks the gradient for the `top` words of each place that promise most, -grad . E^T, judges all of these
    replacements by the loss itself, and makes the best one if it lowers the loss.

    Args:
        ids, labels: (N, T), prompts with the unwanted reply; places: (S,) free places; words: (W,) that may stand there.

    Returns:
        ids (N, T), changed at `places` only.

    Raises:
        ValueError: places inside the reply, or `top` out of 1..W.

    Source: Zou et al. 2023 (GCG), arXiv 2307.15043; here without its random draw of replacements.
    """
    inside = (labels[:, places] == IGNORED).all()
    if not inside or not 1 <= top <= len(words):
        raise ValueError(
            f"places must lie outside the reply, and top in 1..{len(words)}, the words; got {top}"
        )
    table = model.embed(words).detach()  # (W, D)
    with evaluating(model):
        lowest = _loss(model, ids, labels)
        for _ in range(rounds):
            e = model.embed(ids).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(read(model(e), labels).mean().sum(), e)  # of -CE
            best = (gradient[:, places] @ table.T).topk(top, dim=2).indices  # (N, S, top)
            tried = ids[:, None, None].repeat(1, len(places), top, 1)  # (N, S, top, T)
            for s, place in enumerate(places):
                tried[:, s, :, place] = words[best[:, s]]
            tried = tried.flatten(1, 2)  # (N, S top, T)
            losses = _loss(model, tried.flatten(0, 1), labels.repeat_interleave(tried.shape[1], 0))
            found, which = losses.view(tried.shape[:2]).min(1)
            ids = torch.where((found < lowest)[:, None], tried[torch.arange(len(ids)), which], ids)
            lowest = torch.minimum(lowest, found)
    return ids


@torch.no_grad()
def _loss(model: LanguageModel, ids: Tensor, labels: Tensor) -> Tensor:
    """-mean log-probability of each reply, (N,)."""
    parts = zip(ids.split(PART), labels.split(PART), strict=True)
    return torch.cat([-read(model(model.embed(x)), y).mean() for x, y in parts])
