"""Projected gradient ascent: the one loop behind most attacks."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sslwork import seeds
from sslwork.attacks import inputs, norms
from sslwork.attacks.objectives import Loss, objective
from sslwork.embedding import evaluating

Model = Callable[[Tensor], Tensor]


def pgd(
    model: Model | None,
    x: Tensor,
    y: Any = None,
    *,
    norm: str = "linf",
    eps: float,
    step: float | None = None,
    n_iter: int = 20,
    loss: str | Loss = "ce",
    targeted: bool = False,
    restarts: int = 1,
    random_start: bool | float = True,
    keep_best: bool = True,
    eot: int = 1,
    project: Callable[[Tensor], Tensor] | None = None,
    box: tuple[float, float] | None = (0.0, 1.0),
    callback: Callable[[int, Tensor, Tensor], object] | None = None,
    seed: int | torch.Generator = 0,
) -> Tensor:
    r"""Projected gradient ascent on a loss, within a ball around each picture and within the box. Returns x'.

        delta <- Pi_eps(delta + step s(g)),   g = d loss / d x',   s(g) = sign(g) for l_inf, g / ||g||_2 for l_2

    Of all starts and steps the point with the highest loss is kept, sample by sample. The loss is summed, not averaged:
    what is found does not depend on the batch. The model is in evaluation mode meanwhile, and no `.grad` is written.

    Args:
        model: pictures -> logits (N, K); any differentiable function, a defence in front included. None: see `loss`.
        x: (N, ...) within `box`; (N, T, d) for "l2 per token". For one perturbation of many pictures attack a single
            row, e.g. zeros (1, C, H, W) with box None, and let the loss add it to the pictures.
        y: labels (N,), the wanted ones if `targeted`; whatever a loss of your own takes.
        norm: "linf", "l2", or "l2 per token" (steps by sign, each token's l_2 norm bounded).
        eps: radius, >= 0, in the units of x; 0 gives x back.
        step: in the same units; by default 2.5 eps / n_iter.
        n_iter: steps, 1 or more.
        loss: "ce", "margin", "dlr", "kl" (against the clean answer, no labels), or a function (logits, y) -> (N,),
            which is raised. With model None it is given the pictures: (x', y) -> (N,).
        targeted: lower the loss instead: towards the class y.
        restarts: with new random starts.
        random_start: True draws evenly from the ball, False starts at x, a number at x plus normal noise of this deviation.
        keep_best: False returns where the last step led, which saves a look at it.
        eot: gradients of a random model are averaged over this many calls.
        project: a further rule on delta after the ball's, e.g. `lambda delta: delta * mask`.
        box: allowed values, applied last; None for no limits.
        callback: called as callback(step, x', what is raised (N,)) before each step, and after the last.
        seed: of the random starts; or a generator, drawn from.

    Raises:
        TypeError, ValueError: x outside the box or not finite, eps below 0, labels without a logit, a gradient of NaN, ...

    Source: Madry et al. 2018, arXiv 1706.06083; EOT: Athalye et al. 2018, arXiv 1707.07397.

    >>> w = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    >>> pgd(lambda x: x @ w, torch.tensor([[0.6, 0.5]]), torch.tensor([0]), eps=0.1)
    tensor([[0.5000, 0.6000]])
    """
    x = inputs.checked(x, norm, eps, box)
    inputs.whole(n_iter=n_iter, restarts=restarts, eot=eot)
    if restarts > 1 and not (random_start and keep_best):
        raise ValueError("restarts need random_start and keep_best: else each ends where the last one did")
    step = 2.5 * eps / n_iter if step is None else step
    generator = seed if isinstance(seed, torch.Generator) else seeds.generator(seed)
    best, highest = x.clone(), x.new_full((len(x),), -torch.inf)
    if len(x) == 0:
        return best

    def place(delta: Tensor) -> Tensor:
        return norms.place(x, delta, norm, eps, box, project)

    with evaluating(model):  # type: ignore[arg-type]
        value = objective(loss, model, x, y, targeted=targeted, eot=eot)
        for _ in range(restarts):
            at = place(start(x, norm, eps, random_start, generator))
            for k in range(n_iter):
                raised, gradient = slope(value, at)
                if keep_best:
                    best, highest = higher(best, highest, at, raised)
                if callback:
                    callback(k, at, raised)
                at = place(norms.stepped(at - x, gradient, norm, step))
            if keep_best or callback:
                with torch.no_grad():
                    raised = value(at)
                if keep_best:
                    best, highest = higher(best, highest, at, raised)
                if callback:
                    callback(n_iter, at, raised)
    return best if keep_best else at


def fgsm(model: Model | None, x: Tensor, y: Any = None, *, eps: float, **more: Any) -> Tensor:
    """x' = clip(x + eps sign(d loss / d x)): a single step to the rim of the ball, from x itself.

    Args:
        more: as for `pgd`, e.g. `targeted=True` with the wanted label (one step down), `norm="l2"`.

    Source: Goodfellow et al. 2015, arXiv 1412.6572.

    >>> fgsm(lambda x: x, torch.tensor([[0.9, 0.2]]), torch.tensor([0]), eps=0.1)
    tensor([[0.8000, 0.3000]])
    """
    return pgd(
        model, x, y, eps=eps, **{"step": eps, "n_iter": 1, "random_start": False, "keep_best": False, **more}
    )


def slope(value: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    """What the objective gives at a point, (N,), and its gradient there, of the shape of the point; NaN is refused."""
    with torch.enable_grad():
        at = at.detach().requires_grad_()
        raised = value(at)
        if not raised.requires_grad:
            raise ValueError(
                "the loss does not depend on x through anything differentiable: "
                "give the attack a soft version of the defence, or use attacks.square"
            )
        total = raised.sum()
        (gradient,) = torch.autograd.grad(total, at)
    raised = raised.detach()
    # At every step: the sign of NaN is 0, so a broken gradient would pass for a flat one.
    if not math.isfinite(float(total.detach() + gradient.sum())):
        bad = ~(torch.isfinite(raised) & torch.isfinite(gradient).flatten(1).all(1))
        if bad.any():
            raise ValueError(
                f"loss or gradient is NaN or infinite for {int(bad.sum())} of {len(at)} samples, first for sample "
                f"{int(bad.nonzero()[0])}: look for a division, a root or a logarithm of 0 in the model or the loss"
            )
    return raised, gradient


def start(x: Tensor, norm: str, eps: float, kind: bool | float, generator: torch.Generator) -> Tensor:
    if kind is True:
        return norms.random_point(x, norm, eps, generator)
    if kind is False:
        return torch.zeros_like(x)
    return kind * torch.randn(x.shape, generator=generator).to(x)


def higher(best: Tensor, highest: Tensor, at: Tensor, raised: Tensor) -> tuple[Tensor, Tensor]:
    better = raised > highest
    return torch.where(better.reshape(-1, *[1] * (at.ndim - 1)), at, best), torch.where(
        better, raised, highest
    )
