"""A filter in front of a classifier, and the classifier behind it as attackers of different knowledge see it."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

KNOWLEDGE = ("oblivious", "BPDA", "adaptive")


class Filter(Protocol):
    """Pictures (N, C, H, W) in [0, 1] to pictures of the same shape and range, whatever classifier comes behind.

    `soft` stands in for the filter where it has no useful gradient (rounding, bits); it may be the filter itself. A
    filter that is not `deterministic` has to be attacked over several draws (`eot`).
    """

    @property
    def deterministic(self) -> bool: ...

    def __call__(self, x: Tensor) -> Tensor: ...

    def soft(self, x: Tensor) -> Tensor: ...


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hard: Tensor, soft: Tensor) -> Tensor:
        return hard.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """The value of `hard`, to the bit, with the gradient of `soft`.

    Raises:
        ValueError: two shapes.

    Source: Bengio, Leonard, Courville 2013, arXiv 1308.3432.

    >>> x = torch.tensor([0.3, 0.8], requires_grad=True)
    >>> straight_through(x.round(), x).sum().backward()
    >>> x.grad
    tensor([1., 1.])
    """
    if hard.shape != soft.shape:
        raise ValueError(
            f"hard and soft must have one shape, got {tuple(hard.shape)} and {tuple(soft.shape)}"
        )
    return _StraightThrough.apply(hard, soft)


class Guarded(nn.Module):
    """A classifier behind a filter, with the gradient that an attacker of this knowledge takes.

    Args:
        model: pictures -> logits, unchanged.
        filter: see `Filter`.
        knowledge: "oblivious": the attacker sees the classifier alone, and so does this; "BPDA": the filter runs, and
            its gradient is taken for the identity's; "adaptive": the filter runs, with the gradient of its `soft` form.

    Raises:
        ValueError: another knowledge; a filter that changes the shape.

    Source: Athalye, Carlini, Wagner 2018, arXiv 1802.00420.
    """

    def __init__(
        self, model: Callable[[Tensor], Tensor], filter: Filter, knowledge: str = "adaptive"
    ) -> None:
        super().__init__()
        if knowledge not in KNOWLEDGE:
            raise ValueError(f"knowledge must be one of {', '.join(KNOWLEDGE)}; got {knowledge!r}")
        self.model, self.filter, self.knowledge = model, filter, knowledge

    def forward(self, x: Tensor) -> Tensor:
        if self.knowledge == "oblivious":
            return self.model(x)
        with torch.no_grad():
            hard = self.filter(x)
        if hard.shape != x.shape:
            raise ValueError(
                f"the filter must keep the shape {tuple(x.shape)}, it returned {tuple(hard.shape)}"
            )
        if not torch.is_grad_enabled():
            return self.model(hard)
        return self.model(straight_through(hard, x if self.knowledge == "BPDA" else self.filter.soft(x)))
