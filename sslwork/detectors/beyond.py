"""BEYOND: does a picture agree with changed copies of itself, in representation and in label?"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks

Reader = Callable[[Tensor], tuple[Tensor, Tensor]]  # images -> representations (N, D), logits (N, K)
Augment = Callable[
    [Tensor, torch.Generator], Tensor
]  # images (N, C, H, W) -> one changed copy of each, as `Views`


class Frozen(nn.Module):
    """A self-supervised network as BEYOND reads it: r = g(b(x)), and logits c(b(x)) of a head with labels.

    Args:
        backbone: b, images to (N, F).
        projector: g, kept from the self-supervised training; the representation is read behind it.
        head: c, fitted on b's features, (N, F) to logits (N, K).
    """

    def __init__(self, backbone: nn.Module, projector: nn.Module, head: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.backbone, self.projector, self.head = backbone, projector, head
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.backbone(images.expand(-1, 3, -1, -1))
        return self.projector(features), self.head(features).to(features)


def relations(
    images: Tensor, predicted: Tensor, reader: Reader, augment: Augment, *, k: int = 50, hard: bool = False,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """How each picture stands to k changed copies A_j x of its own.

        s_j = cos(r(x), r(A_j x));   q_j = cos(onehot(l), c(A_j x)), or 1 where c names l, else 0 (`hard`)

    Args:
        images: (N, C, H, W) in [0, 1].
        predicted: l (N,), the class that the watched classifier names.
        reader: representations and raw logits, see `Frozen`.
        augment: draws anew for each picture.
        k: copies, at least 1.

    Returns:
        s and q, (N, k) each, in [-1, 1]. Multiplying the logits changes nothing; adding to all of them does.

    Raises:
        ValueError: no copies, labels that do not fit or are no class of the reader's.
    """
    predicted = checks.labels(predicted, len(images), "predicted")
    if k < 1:
        raise ValueError(f"k must be at least 1 copy, got {k}")
    r, logits = reader(images)
    if len(images) and int(predicted.max()) >= logits.shape[1]:
        raise ValueError(
            f"predicted names class {int(predicted.max())}, the reader's head has {logits.shape[1]} classes"
        )
    onehot = F.one_hot(predicted, logits.shape[1]).to(logits)
    similar, agree = [], []
    for _ in range(k):
        near, logits = reader(augment(images, generator))
        similar.append(F.cosine_similarity(r, near, dim=1))
        named = (logits.argmax(1) == onehot.argmax(1)).to(r)
        agree.append(named if hard else F.cosine_similarity(onehot, logits, dim=1).to(r))
    return torch.stack(similar, 1), torch.stack(agree, 1)


def agreement(s: Tensor, q: Tensor, *, rank: int = 20, alpha: float = 0.8) -> Tensor:
    """S = the `rank`-th largest of alpha q_j + (1 - alpha) s_j over the copies j, (N,): high for natural pictures.

    Args:
        s, q: (N, k), see `relations`.
        rank: K in 1..k; 1 is the largest.
        alpha: 1 looks at labels alone, 0 at representations alone.

    Raises:
        ValueError: a rank or an alpha out of range, s and q of unequal shape, NaN.

    >>> agreement(torch.tensor([[0.9, 0.5, 0.1]]), torch.tensor([[1.0, 0.0, 1.0]]), rank=2, alpha=0.5)
    tensor([0.5500])
    """
    checks.pair(s, q, ("s", "q"), rows=1)
    if not 1 <= rank <= s.shape[1]:
        raise ValueError(f"rank must lie in 1..{s.shape[1]}, the copies there are; got {rank}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in 0..1, got {alpha}")
    return (alpha * q + (1 - alpha) * s).topk(rank, dim=1).values[:, -1]


def beyond(
    images: Tensor, predicted: Tensor, reader: Reader, augment: Augment, *, k: int = 50, rank: int = 20,
    alpha: float = 0.8, hard: bool = False, generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """The detector's score (N,), high for natural pictures: `agreement` of `relations`; arguments as there.

    Source: He, Yang, Chen, Xu, Ho 2024 (ICML), arXiv 2209.00005.
    """
    with torch.no_grad():
        s, q = relations(images, predicted, reader, augment, k=k, hard=hard, generator=generator)
    return agreement(s, q, rank=rank, alpha=alpha)


def counts(s: Tensor, named: Tensor, *, cosine: float) -> Tensor:
    """The paper's form, two counts of copies: #{s_j > cosine} and #{c names l}, (N, 2). `named` is the hard q."""
    checks.pair(s, named, ("s", "named"), rows=1)
    return torch.stack([(s > cosine).sum(1), named.sum(1)], 1).to(s)


def threshold(clean: Tensor, *, fpr: float = 0.05) -> Tensor:
    """The score below which a picture is rejected: of these clean ones at most a share of `fpr` is.

    Args:
        clean: scores (N,) of held-out clean pictures; or (N, C), where a picture is rejected if any column falls below
            its threshold, and each column gets an equal part of `fpr`.

    Returns:
        () or (C,). Reject where `(scores < threshold)`, in `.any(1)` column.

    Raises:
        TypeError, ValueError: a share out of range, no scores, NaN.
    """
    if not 0 < fpr < 1:
        raise ValueError(f"fpr must lie in 0..1, ends excluded; got {fpr}")
    checks.embeddings(clean.reshape(len(clean), -1), "clean", rows=1)
    columns = clean.shape[1] if clean.ndim > 1 else 1
    return clean.double().quantile(fpr / columns, dim=0, interpolation="lower").to(clean)


def adaptive(
    model: Callable[[Tensor], Tensor], reader: Reader, augment: Augment, *, k: int = 50, generator: torch.Generator
) -> Callable[[Tensor, Tensor], Tensor]:  # fmt: skip
    """The loss (x', target) -> (N,) of an attacker who knows the detector: for `attacks.pgd(None, ..., loss=...)`.

        -(CE(f(x'), t) + mean_j [CE(c(A_j x'), t) - cos(r(x'), r(A_j x'))])

    Its gradient is minus the SUM OF THE TWO SIGNS, of the part that fools f and of the part that hides: where they
    disagree the pixel stays, as in the paper's repository. The copies are drawn anew at every call.
    """

    def loss(images: Tensor, target: Tensor) -> Tensor:
        fool = F.cross_entropy(model(images), target, reduction="none")
        r, _ = reader(images)
        hide = torch.zeros_like(fool)
        for _ in range(k):
            near, logits = reader(augment(images, generator))
            hide = hide + F.cross_entropy(logits, target, reduction="none") / k
            hide = hide - F.cosine_similarity(r, near, dim=1) / k
        value = -(fool + hide).detach()
        if not images.requires_grad:
            return value
        signs = [
            torch.autograd.grad(part.sum(), images, retain_graph=True)[0].sign() for part in (fool, hide)
        ]
        # Adds nothing to the value, and the signs to the gradient.
        return value - (sum(signs) * (images - images.detach())).flatten(1).sum(1)

    return loss
