"""Tracing: every buyer gets a slightly different copy of a classifier; on which copy was an adversarial example made?"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks, robust
from sslwork.data.pictures import PictureSet

Logits = Callable[[Tensor], Tensor]  # (N, C, H, W) -> (N, classes)


class Tracer(nn.Module):
    """What is peculiar to one copy: t(x) = T(x) / ||T(x)||, so that it cannot fade beside the classifier's logits.

    The scale of T goes, an offset added to all its logits does not.

    Args:
        net: T, images (N, C, H, W) to logits (N, K).
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(self.net(images), dim=1)  # (N, K), unit length


class Copy(nn.Module):
    """One buyer's copy: M(x) = C(x) + a t(x).

    Where C's margin exceeds sqrt(2) a, the copy names the same class as C.

    Args:
        classifier: C, common to all copies.
        tracer: t, this copy's own.
        strength: a >= 0, in units of C's logits; 0 makes all copies one function.

    Raises:
        ValueError: a negative strength.

    Source: Fang, Zhang, Qiu, Xu, Fang, Chang 2022, arXiv 2301.01218. Unit length and the cosine in `sensitivity` are a
    working version of ours: the paper was at hand as an abstract.
    """

    def __init__(self, classifier: nn.Module, tracer: Tracer, strength: float) -> None:
        super().__init__()
        checks.not_negative(strength=strength)
        self.classifier, self.tracer, self.strength = classifier, tracer, strength

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(images) + self.strength * self.tracer(images)


def sign_noise(images: Tensor, sigma: float, draw: torch.Generator) -> Tensor:
    """clip(x + n), n = +sigma or -sigma for each pixel: on a black ground half of it is cut off.

    Args:
        images: (N, C, H, W) in [0, 1].
        sigma: >= 0, in units of pixels.
    """
    checks.not_negative(sigma=sigma)
    coins = torch.rand(images.shape, generator=draw, device=draw.device).to(images) < 0.5
    return (images + torch.where(coins, sigma, -sigma)).clamp(0, 1)


def sensitivity(clean: Tensor, noisy: Tensor) -> Tensor:
    """The noise-sensitive loss, cos(T(x), T(x + n)) of each picture, (N,): -1 where noise turns the tracer round.

    Args:
        clean, noisy: logits (N, K) of the same pictures without and with noise.

    Raises:
        TypeError, ValueError: NaN, unequal shapes.

    >>> sensitivity(torch.tensor([[1.0, 0.0]]), torch.tensor([[-3.0, 0.0]]))
    tensor([-1.])
    """
    checks.pair(clean, noisy, ("clean", "noisy"), rows=1)
    return F.cosine_similarity(clean, noisy, dim=1)


def fit(tracer: Tracer, pictures: PictureSet, *, sigma: float = 0.1, **training: Any) -> list[float]:
    """Train a tracer to be turned round by fresh sign noise; labels and the classifier have no part in it.

    Two tracers need two seeds, here and for their first weights: equal ones would be one tracer.

    Args:
        sigma: of the noise, in units of pixels (above 0).
        training: as for `robust.fit`; unless given 300 steps at a rate of 1e-3.

    Returns:
        The mean of `sensitivity` at every step.
    """
    checks.positive(sigma, "sigma")

    def inner(model: nn.Module, x: Tensor, y: Tensor, draw: torch.Generator) -> Tensor:
        return sign_noise(x, sigma, draw)

    def loss(model: nn.Module, x: Tensor, noisy: Tensor, y: Tensor) -> Tensor:
        return sensitivity(model(x), model(noisy))

    return robust.fit(tracer, pictures, inner=inner, loss=loss, **{"steps": 300, "lr": 1e-3, **training})


@torch.no_grad()
def dol(tracers: Sequence[Logits], images: Tensor, attacked: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits, DOL_i = t_i(x')[y'] - t_i(x')[y], for every candidate i: (N, copies).

    The tracer on which the attack was made was driven to prefer y' to y; the others see noise. |DOL| <= sqrt(2) for
    unit logits; swapping y and y' flips the sign.

    Args:
        tracers: one per copy, images -> logits (N, K).
        images: attacked ones (N, C, H, W) in [0, 1].
        attacked: y' (N,), the class that the victim names: another copy than the source, as a rule.
        labels: y (N,), the class of the clean image.

    Raises:
        ValueError: no tracers, labels that do not fit, a picture whose y' is y: that attack failed, leave it out.
    """
    if not tracers:
        raise ValueError("tracers is empty: give one per copy")
    y, wrong = checks.labels(labels, len(images)), checks.labels(attacked, len(images), "attacked")
    if bool((y == wrong).any()):
        row = int((y == wrong).nonzero()[0])
        raise ValueError(f"attacked and labels agree in row {row}: that attack failed; leave such rows out")
    logits = torch.stack([tracer(images) for tracer in tracers], 1)  # (N, copies, K)
    rows = torch.arange(len(images), device=logits.device)
    return logits[rows, :, wrong.to(logits.device)] - logits[rows, :, y.to(logits.device)]


def trace(scores: Tensor, *, votes: int = 1) -> Tensor:
    """The copy that is named: argmax_i of DOL_i summed over `votes` examples of one attacker.

    Args:
        scores: DOL (N, copies) of examples made on one copy; what is left over after N // votes groups goes unused.
        votes: examples together, 1..N.

    Returns:
        (N // votes,) copies named.

    >>> trace(torch.tensor([[1.0, 0.9], [0.1, 0.4]]), votes=2)
    tensor([1])
    """
    checks.embeddings(scores, "scores", rows=1)
    if not 1 <= votes <= len(scores):
        raise ValueError(f"votes must lie in 1..{len(scores)}, the examples there are; got {votes}")
    groups = len(scores) // votes
    return scores[: groups * votes].unflatten(0, (groups, votes)).sum(1).argmax(1)
