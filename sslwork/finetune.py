"""Few labels: fine-tune a pre-trained network on them, then distil what it says about pictures without labels."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks, heads, losses, scale
from sslwork.data.pictures import PictureSet
from sslwork.methods import Method
from sslwork.schedule import batch_rows, learning_rate
from sslwork.seeds import generator
from sslwork.views import Views

# A weight, some pictures, and a scalar of views of them (n, C, H, W) and of their rows in the set.
Term = tuple[float, PictureSet, Callable[[Tensor, Tensor], Tensor]]


def classifier(method: Method, classes: int, *, selector: int = 1) -> nn.Sequential:
    """Encoder, the first `selector` layers of its head, and a linear map to `classes` logits, from zero.

    Encoder and head are copied: `method` stays as it is, and can be cut at another place too.

    Args:
        method: pre-trained, or fresh for a network that learns from labels alone; its head is a `heads.mlp`.
        classes: C, at least 2.
        selector: hidden layers of the head to keep: 0 is ordinary fine-tuning, 1 SimCLRv2's.

    Raises:
        TypeError, ValueError: a head of another kind or with fewer hidden layers, or classes < 2.

    Source: Chen, Kornblith, Swersky, Norouzi, Hinton 2020, arXiv 2006.10029.
    """
    if classes < 2:
        raise ValueError(f"classes must be at least 2, got {classes}")
    if not isinstance(method.head, nn.Sequential):
        raise TypeError(f"method must have a head made by heads.mlp, got {type(method.head).__name__}")
    body = nn.Sequential(method.encoder, heads.first_layers(method.head, selector))
    maps = [part.out_features for part in body[1].modules() if isinstance(part, nn.Linear)]
    last = nn.utils.skip_init(nn.Linear, maps[-1] if maps else method.encoder.out_features, classes)
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return nn.Sequential(*copy.deepcopy(body), last)


def finetune(model: nn.Module, labelled: PictureSet, **options: Any) -> list[float]:
    """Train all weights of `model` on labelled pictures with cross-entropy; it is changed in place.

    Args:
        model: pictures to logits (N, C); see `classifier`.
        labelled: a few of each class, say; see `data.per_class`.
        options: see `fit`.

    Source: Chen, Kornblith, Swersky, Norouzi, Hinton 2020, arXiv 2006.10029.
    """
    return fit(model, [_labels(model, labelled, 1.0)], **options)


def distil(
    student: nn.Module,
    teacher: nn.Module,
    pictures: PictureSet,
    *,
    temperature: float = 1.0,
    labelled: PictureSet | None = None,
    share: float = 0.5,
    **options: Any,
) -> list[float]:
    """Train `student` in place to say what `teacher` says, of the same views of pictures whose labels nobody reads.

    With `labelled` the loss is (1 - share) * cross-entropy on these + share * distillation.

    Args:
        student, teacher: pictures to logits (N, C). The teacher is used in evaluation mode, and nothing in it moves.
        pictures: without labels, or their labels unread.
        temperature: of `losses.distillation`.
        labelled, share: see above; share in 0..1.
        options: see `fit`.

    Source: Chen, Kornblith, Swersky, Norouzi, Hinton 2020, arXiv 2006.10029.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in 0..1, got {share}")
    frozen = copy.deepcopy(teacher).eval().requires_grad_(False)

    def imitate(views: Tensor, _: Tensor) -> Tensor:
        targets = frozen.to(views.device)(views)
        return losses.distillation(student(views), targets, temperature=temperature)

    if labelled is None:
        return fit(student, [(1.0, pictures, imitate)], **options)
    return fit(student, [(share, pictures, imitate), _labels(student, labelled, 1 - share)], **options)


def fit(
    model: nn.Module,
    terms: Sequence[Term],
    *,
    views: Views,
    steps: int = 150,
    batch_size: int = 128,
    lr: float = 3e-3,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool = True,
) -> list[float]:
    """AdamW without weight decay on a weighted sum of losses, each of a batch of its own; returns the sum per step.

    Args:
        model: changed in place.
        terms: (weight, pictures, loss) each.
        views: how pictures are changed before the model sees them.
        steps, batch_size, lr: warm-up over a tenth of the steps, then cosine to zero; a batch larger than the set
            becomes the set.
        seed: of batches and views.
        device: where to train; by default where the scale says, as in `train.fit`.

    Raises:
        ValueError: fewer than two pictures.
        FloatingPointError: the loss is no longer a number.
    """
    from tqdm.auto import tqdm

    if small := [pictures for _, pictures, _ in terms if len(pictures) < 2]:
        raise ValueError(f"batch norm needs at least two pictures, got {small[0]}")
    device = scale.current().device if device is None else device
    model.to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    draws = [generator(seed, i, device=device) for i in range(len(terms))]
    history: list[float] = []
    for step in tqdm(range(steps), unit=" steps", delay=2, leave=False, disable=not progress):
        total = torch.zeros((), device=device)
        for (weight, pictures, loss), draw in zip(terms, draws, strict=True):
            rows = batch_rows(step, len(pictures), min(batch_size, len(pictures)), seed)
            seen = views(pictures.images[rows].to(device), draw)
            total = total + weight * loss(seen, rows)
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss is {total.item()} at step {step}: lower the learning rate")
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, lr)
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        optimiser.step()
        history.append(total.item())
    return history


def _labels(model: nn.Module, pictures: PictureSet, weight: float) -> Term:
    """Cross-entropy with the labels of these pictures."""
    labels = checks.labels(pictures.labels, len(pictures))

    def loss(views: Tensor, rows: Tensor) -> Tensor:
        return F.cross_entropy(model(views), labels[rows].to(views.device))

    return weight, pictures, loss
