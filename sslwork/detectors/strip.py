"""STRIP: a triggered picture keeps its answer whatever it is mixed with."""

from collections.abc import Callable

import torch
from torch import Tensor

from sslwork.embedding import evaluating
from sslwork.seeds import generator


@torch.no_grad()
def strip(
    model: Callable[[Tensor], Tensor], images: Tensor, clean: Tensor, *, mixes: int = 20, seed: int = 0
) -> Tensor:
    r"""Mean entropy of the answers to mixtures, (N,) in [0, log K], in nats; LOW = suspicious.

        H_i = 1/M sum_m H(softmax z((x_i + c_m) / 2)),   c_m drawn from the clean pictures, anew for every x_i

    Args:
        model: pictures to logits (N, K); a module is in evaluation mode meanwhile.
        images: (N, C, H, W) in [0, 1], to be judged.
        clean: (M', C, H, W), known to be clean.
        mixes: M, mixtures per picture.
        seed: of the draw.

    Raises:
        ValueError: no clean pictures or of another shape, mixes < 1, NaN from the model.

    Source: Gao, Xu, Wang, Chen, Ranasinghe, Nepal 2019, arXiv 1902.06531; there the 1 % quantile of the entropies of clean
    pictures is the threshold.
    """
    if mixes < 1 or len(clean) == 0:
        raise ValueError(f"mixes must be at least 1 and clean hold pictures, got {mixes} and {len(clean)}")
    if clean.shape[1:] != images.shape[1:]:
        raise ValueError(
            f"clean must be pictures like images, {tuple(images.shape[1:])}; got {tuple(clean.shape[1:])}"
        )
    rows = torch.randint(len(clean), (mixes, len(images)), generator=generator(seed)).to(clean.device)
    total = torch.zeros(len(images), device=images.device)
    with evaluating(model):
        for row in rows:
            log_p = model((images + clean[row]) / 2).log_softmax(1)
            total = total - (log_p.exp() * log_p).sum(1)
    if total.isnan().any():
        raise ValueError(
            f"the model gave NaN for mixtures of {int(total.isnan().sum())} of {len(images)} images; look at its weights"
        )
    return total / mixes
