"""Parts of a labelled picture set: with a long tail of small classes, or with equally many of each."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from sslwork import checks
from sslwork.data.pictures import PictureSet
from sslwork.seeds import generator


def long_tail(pictures: PictureSet, *, largest: int, smallest: int, seed: int = 0) -> PictureSet:
    """Pictures of C classes whose sizes fall exponentially, as in the long-tailed CIFAR of Cao et al.

    Size of the k-th class: round(largest (smallest / largest)^(k / (C - 1))). Which class is the k-th is drawn, so that
    size and kind are not confounded over seeds; `labels.bincount()` tells, and `about` too. Source: Cao, Wei, Gaidon,
    Arechiga, Ma 2019, arXiv 1906.07413.

    Args:
        pictures: labelled.
        largest, smallest: pictures of the first and the last class, 1 <= smallest <= largest.
        seed: of the order of the classes and of the pictures taken.

    Raises:
        ValueError: no labels, sizes out of order, or a class with too few pictures.

    >>> pictures = PictureSet(torch.zeros(90, 1, 2, 2), torch.arange(90) % 3)
    >>> sorted(long_tail(pictures, largest=30, smallest=10).labels.bincount().tolist())
    [10, 17, 30]
    """
    if not 1 <= smallest <= largest:
        raise ValueError(
            f"sizes must be 1 <= smallest <= largest, got smallest={smallest}, largest={largest}"
        )
    classes = _classes(pictures)
    steps = torch.arange(classes, dtype=torch.float64) / max(classes - 1, 1)
    sizes = (largest * (smallest / largest) ** steps).round().long()
    sizes = sizes[torch.randperm(classes, generator=generator(seed))]
    return _take(pictures, sizes.tolist(), seed, f"long tail, pictures per class {sizes.tolist()}")


def per_class(pictures: PictureSet, count: int, seed: int = 0) -> PictureSet:
    """Exactly `count` pictures of each class, drawn at random: the few labels of a semi-supervised task.

    A smaller draw is part of a larger one of the same seed.

    Raises:
        ValueError: no labels, or a class with fewer pictures.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1 picture of each class, got {count}")
    return _take(pictures, [count] * _classes(pictures), seed, f"{count} of each class")


def _classes(pictures: PictureSet) -> int:
    labels = checks.labels(pictures.labels, len(pictures))
    return len(pictures.names) or int(labels.max()) + 1


def _take(pictures: PictureSet, sizes: Sequence[int], seed: int, said: str) -> PictureSet:
    """So many of each class, in the order of the whole set."""
    order = torch.randperm(len(pictures), generator=generator(seed, 1))
    labels = checks.labels(pictures.labels, len(pictures))[order]
    taken = []
    for label, size in enumerate(sizes):
        rows = order[labels == label]
        if len(rows) < size:
            name = pictures.names[label] if pictures.names else str(label)
            raise ValueError(f"class {name!r} has {len(rows)} pictures, {size} are wanted; ask for fewer")
        taken.append(rows[:size])
    part = pictures[torch.cat(taken).sort().values]
    return replace(part, about=f"{part.about}; {said}".removeprefix("; "))
