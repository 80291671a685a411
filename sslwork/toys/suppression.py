"""Feature suppression in the smallest case: two features of a picture, and a weight on each is all there is to learn."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork.seeds import generator


def two_features(
    count: int = 128,
    *,
    kinds: tuple[int, int] = (64, 10),
    noise: tuple[float, float] = (0.2, 0.8),
    one_cell: bool = False,
    seed: int = 0,
) -> Tensor:
    """Similarities of two views of N pictures by either feature: (2, 2N, 2N), row i + N the other view of row i.

    Every picture has one kind of each feature, drawn independently. A view sees a kind as a direction of length one
    plus Gaussian noise; a similarity is the cosine of two such sights.

    Args:
        count: N pictures.
        kinds: of the first feature and of the second.
        noise: its length, for either feature; the one with less is the easier.
        one_cell: True gives all pictures the same kind of the first feature, as a cell of its clusters does.
        seed: of kinds and noise.
    """
    draw = generator(seed)
    found = []
    for number, (width, strength) in enumerate(zip(kinds, noise, strict=True)):
        which = torch.randint(width, (count,), generator=draw).repeat(2)
        off = torch.randn(2 * count, width, generator=draw, dtype=torch.double) / width**0.5
        which = which * 0 if one_cell and number == 0 else which
        u = F.normalize(F.one_hot(which, width) + strength * off, dim=1)  # (2N, width)
        found.append(u @ u.T)
    return torch.stack(found)


def pulls(similarities: Tensor, weights: Tensor) -> Tensor:
    """How much NT-Xent wants more weight on each feature: -dL/dw_f, (F,), where row i, k has the logit sum_f w_f s_f(i, k).

    -dL/dw_f = mean over rows i of s_f(i, p(i)) - sum_k P(i, k) s_f(i, k), with P the softmax of the row without i itself.
    A feature by which the positive is no nearer than what else the row looks at pulls no more: all have it (it is
    constant in the batch), or another feature has done the job (P is all on the positive).

    Args:
        similarities: (F, 2N, 2N), row i + N the partner of row i.
        weights: (F,), the weight of a feature over the temperature.

    Raises:
        ValueError: shapes that do not fit.
    """
    rows = similarities.shape[-1]
    if similarities.shape != (len(weights), rows, rows) or rows % 2 or rows < 4:
        raise ValueError(
            f"similarities must have shape ({len(weights)}, 2N, 2N), N >= 2, one table per weight; "
            f"got {tuple(similarities.shape)}"
        )
    logits = torch.einsum("f,frk->rk", weights, similarities)
    p = logits.fill_diagonal_(-torch.inf).softmax(dim=1)
    here = torch.arange(rows, device=logits.device)
    positive = similarities[:, here, here.roll(rows // 2)]  # (F, 2N)
    return (positive - (p * similarities).sum(2)).mean(1)
