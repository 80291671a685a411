"""Embeddings of a whole picture set, in order, once each, into memory or onto disk."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sslwork import distributed
from sslwork.data.load import load
from sslwork.data.pictures import PictureSet, to_float
from sslwork.data.store import gather, mapped

Model = nn.Module | Callable[[Tensor], Tensor]


def embed(
    model: Model, pictures: Any, *, batch_size: int = 512, out: str | Path | None = None, progress: bool = True,
) -> Tensor:  # fmt: skip
    """Rows of features on the CPU, (N, D) float32, row i for picture i.

    A module runs in evaluation mode (batch norm does not learn from what it measures) and is put back afterwards,
    part by part; pictures go to the module's device batch by batch. Grey ones are repeated to three channels.

    Args:
        model: `method` for embeddings after the head, `method.encoder` for representations before it.
        pictures: a picture set; a tensor or an array (N, C, H, W), uint8 or floating point in [0, 1]; or whatever
            `data.load` takes.
        out: a .npy file for the rows, for more of them than memory holds: what comes back is a map of it, which the
            measures take. It has its name once it is whole.
        progress: a bar with the time left, if it takes more than two seconds.

    Several processes (see `sslwork.launch`) share the work, and each gets all rows.
    """
    from tqdm.auto import tqdm

    if isinstance(pictures, Tensor | np.ndarray):
        images = torch.as_tensor(pictures)
    else:
        images = (pictures if isinstance(pictures, PictureSet) else load(pictures)).images
    if len(images) == 0:
        raise ValueError("pictures is empty: there is nothing to embed")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    device = images.device if parameter is None else parameter.device
    distributed.join(device)
    silent = not progress or distributed.rank() > 0
    bar = tqdm(total=len(images), desc="embedding", unit=" pictures", delay=2, leave=False, disable=silent)
    with _evaluating(model), bar:

        def blocks() -> Iterator[np.ndarray]:
            for block in _features(model, images, batch_size, device):
                yield block.numpy()
                bar.update(len(block))

        if out is None or distributed.rank() == 0:
            rows = gather(blocks(), rows=len(images), path=out)
        else:
            deque(blocks(), maxlen=0)  # the first process writes them
        distributed.wait()
        return mapped(out) if out is not None and distributed.rank() else rows


@torch.no_grad()
def _features(model: Model, images: Tensor, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """Batch by batch the features of all pictures, on the CPU; several processes share each batch."""
    for batch in torch.arange(len(images)).split(batch_size * distributed.world_size()):
        mine = images[distributed.part(batch)].to(device)
        block = model(to_float(mine).expand(-1, 3, -1, -1)).float()
        if block.shape[:1] != mine.shape[:1]:
            raise ValueError(
                f"model must make one row of each picture: of {len(mine)} pictures it made {tuple(block.shape)}"
            )
        yield distributed.gather(block)[: len(batch)].cpu()


@contextmanager
def _evaluating(model: Model) -> Iterator[None]:
    """A module in evaluation mode inside this block; afterwards each part is as it was."""
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    was_training = [m.training for m in modules]
    try:
        for m in modules:
            m.training = False
        yield
    finally:
        for m, training in zip(modules, was_training, strict=True):
            m.training = training
