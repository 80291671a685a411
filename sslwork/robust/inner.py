"""The two halves of adversarial training as arguments of `robust.fit`: what maximises, and what is minimised."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sslwork import attacks, losses


def ascent(
    *, eps: float, n_iter: int = 5, norm: str = "linf", random_start: bool | float = True, **more: Any
) -> Callable[..., Tensor]:
    """Projected gradient ascent as the inner maximiser of `robust.fit`: the point where the last step leads.

    PGD-AT: `ascent(eps=0.2)`. TRADES: `ascent(eps=0.2, loss="kl", random_start=0.001)`, since the KL to the clean answer
    has gradient 0 at x itself.

    Args:
        eps: radius in the units of the pictures.
        n_iter, norm, random_start, more: as for `attacks.pgd`.

    Source: Madry, Makelov, Schmidt, Tsipras, Vladu 2018, arXiv 1706.06083.
    """

    def inner(model: nn.Module, x: Tensor, y: Tensor, draw: torch.Generator, share: float = 1.0) -> Tensor:
        settings = {"keep_best": False, "seed": draw, **more}
        return attacks.pgd(
            model, x, y, eps=share * eps, n_iter=n_iter, norm=norm, random_start=random_start, **settings
        )

    return inner


def trades(beta: float = 6.0) -> Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]:
    """`losses.trades` as the loss of `robust.fit`: clean pictures are to be right, and attacked ones to be answered alike."""

    def loss(model: nn.Module, x: Tensor, adversarial: Tensor, y: Tensor) -> Tensor:
        return losses.trades(model(x), model(adversarial), y, beta=beta, reduction="none")

    return loss
