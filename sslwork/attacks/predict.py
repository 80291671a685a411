"""What a model answers, in evaluation mode and in blocks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sslwork.attacks.objectives import labels, logits
from sslwork.embedding import evaluating

BLOCK = 512  # pictures at a time


@torch.no_grad()
def right(model: Callable[[Tensor], Tensor], x: Tensor, y: Any) -> Tensor:
    """Which samples the model names right, (N,) booleans.

    Args:
        model: pictures -> logits (N, K); in evaluation mode meanwhile.
        x: (N, ...).
        y: labels (N,).

    Raises:
        ValueError: answers that are no finite logits (N, K), labels without a logit.
    """
    with evaluating(model):
        answers = torch.cat([logits(model, block) for block in x.split(BLOCK)])
    return answers.argmax(1) == labels(y, answers)


def accuracy(model: Callable[[Tensor], Tensor], x: Tensor, y: Any) -> float:
    """The share of samples that the model names right, 0..1; arguments as for `right`.

    Raises:
        ValueError: no samples, and what `right` refuses.
    """
    if not len(x):
        raise ValueError("x holds no samples: there is no accuracy of nothing")
    return float(right(model, x, y).double().mean())
