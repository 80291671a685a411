"""False negatives: pairs in a batch which the loss pushes apart though they show the same class."""

import torch
from torch import Tensor

from sslwork import checks


def false_negative_rate(labels: Tensor) -> float:
    """Share of the ordered pairs i != j of a batch which are of one class, mean over the batches.

    Random batches of C balanced classes have about 1 / C.

    Args:
        labels: (B,) classes of one batch, or (batches, B), whole numbers; B >= 2.

    Source: Chakraborty, Gosthipaty, Paul 2020, arXiv 2009.12007, for what it harms.

    >>> false_negative_rate(torch.tensor([0, 0, 1, 2]))  # 2 of 12 pairs
    0.16666666666666666
    """
    labels = torch.as_tensor(labels)
    if labels.ndim not in (1, 2) or labels.shape[-1] < 2 or not labels.numel():
        raise ValueError(
            f"labels must have shape (B,) or (batches, B) with B >= 2, got {tuple(labels.shape)}"
        )
    batches = checks.labels(labels.flatten(), labels.numel()).view(-1, labels.shape[-1])
    size = batches.shape[1]
    same = sum(int(batch.bincount().square().sum()) - size for batch in batches)
    return same / (len(batches) * size * (size - 1))


def false_negative_bound(batch_size: int, classes: int) -> float:
    """The least rate which any way of filling a batch can have: as many of each class as of any other, or one more.

    0 up to B = C; beyond, (B / C - 1) / (B - 1) where C divides B, and a little more elsewhere.

    Args:
        batch_size: B >= 2.
        classes: C >= 1.

    >>> false_negative_bound(10, 10), round(false_negative_bound(64, 10), 4)
    (0.0, 0.0863)
    """
    if batch_size < 2 or classes < 1:
        raise ValueError(f"a batch needs 2 pictures and 1 class or more, got {batch_size} and {classes}")
    each, rest = divmod(batch_size, classes)
    pairs = rest * (each + 1) * each + (classes - rest) * each * (each - 1)
    return pairs / (batch_size * (batch_size - 1))


def expected_rate(batch_size: int, classes: int, purity: float) -> float:
    """What one picture from each of B clusters gives in expectation: p^2 bound + (1 - p^2) / C.

    The clusters are shared evenly among C balanced classes. A picture is in a cluster of its own class with probability
    p, else in any. A pair avoids a clash only if *both* are where they belong: hence the square.

    Args:
        batch_size: B >= 2, as many clusters.
        classes: C >= 1.
        purity: p in 0 (clusters say nothing: the rate of random batches) ... 1 (the bound).

    >>> round(expected_rate(10, 10, 0.5), 4)  # half pure, a quarter of the way
    0.075
    """
    if not 0 <= purity <= 1:
        raise ValueError(f"purity must lie in 0..1, got {purity}")
    return purity**2 * false_negative_bound(batch_size, classes) + (1 - purity**2) / classes
