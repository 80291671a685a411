"""Embeddings of a whole picture set, in order, once each."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sslwork.data.pictures import PictureSet, to_float


@torch.no_grad()
def embed(
    model: nn.Module | Callable[[Tensor], Tensor], pictures: PictureSet | Tensor, *, batch_size: int = 512
) -> Tensor:
    """Rows of features on the CPU, (N, D) float32, row i for picture i.

    A module runs in evaluation mode (batch norm does not learn from what it measures) and is put back afterwards,
    part by part; pictures go to the module's device batch by batch.

    Args:
        model: `method` for embeddings after the head, `method.encoder` for representations before it.
        pictures: a picture set, or a tensor (N, C, H, W), uint8 or floating point in [0, 1].
    """
    images = pictures.images if isinstance(pictures, PictureSet) else pictures
    if len(images) == 0:
        raise ValueError("pictures is empty: there is nothing to embed")
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    was_training = [m.training for m in modules]
    device = next((p.device for m in modules[:1] for p in m.parameters()), images.device)
    try:
        for m in modules:
            m.training = False
        rows = [model(to_float(batch.to(device))).float().cpu() for batch in images.split(batch_size)]
    finally:
        for m, training in zip(modules, was_training, strict=True):
            m.training = training
    return torch.cat(rows)
