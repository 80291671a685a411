"""Embeddings of a whole picture set, in order, once each, into memory or onto disk."""

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sslwork import distributed
from sslwork.data.load import load
from sslwork.data.pictures import PictureSet, to_float
from sslwork.data.pixels import channels_first
from sslwork.data.store import gather, mapped
from sslwork.models.model import Model as Loaded

Model = nn.Module | Callable[[Tensor], Tensor]
BATCH, PIXELS = 512, 2**20  # at most so many pictures together, and of large ones so many pixels


def embed(
    model: Model, pictures: Any, *, batch_size: int | None = None, out: str | Path | None = None, progress: bool = True,
) -> Tensor:  # fmt: skip
    """Rows of features on the CPU, (N, D) float32, row i for picture i.

    A module runs in evaluation mode (batch norm does not learn from what it measures) and is put back afterwards,
    part by part; pictures go to the module's device batch by batch. Grey ones are repeated to three channels.

    Args:
        model: `method` for embeddings after the head, `method.encoder` for representations before it; or what
            `models.load` makes of anybody's network.
        pictures: a picture set; a tensor or an array (N, C, H, W) or (N, H, W, C), uint8 or floating point in [0, 1]; or
            whatever `data.load` takes. A folder is read at the size that a loaded model wants.
        batch_size: pictures at a time; by default 512, and fewer of more than 45 x 45 pixels.
        out: a .npy file for the rows, for more of them than memory holds: what comes back is a map of it, which the
            measures take. It has its name once it is whole.
        progress: a bar with the time left, if it takes more than two seconds.

    Several processes (see `sslwork.launch`) share the work, and each gets all rows.

    Raises:
        ValueError: no pictures, rows that do not match them, or NaN in the rows of a picture, which is named.
    """
    from tqdm.auto import tqdm

    preprocessing = model.preprocessing if isinstance(model, Loaded | _Layers) else None
    images, ids = _images(pictures, preprocessing)
    if len(images) == 0:
        raise ValueError("pictures is empty: there is nothing to embed")
    if batch_size is None:
        side = preprocessing.size if preprocessing else None
        pixels = side**2 if side else images.shape[-2] * images.shape[-1]
        batch_size = min(BATCH, max(1, PIXELS // pixels))
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    device = images.device if parameter is None else parameter.device
    distributed.join(device)
    silent = not progress or distributed.rank() > 0
    bar = tqdm(total=len(images), desc="embedding", unit=" pictures", delay=2, leave=False, disable=silent)
    with evaluating(model), bar:

        def blocks() -> Iterator[np.ndarray]:
            for block in _features(model, images, batch_size, device):
                if not torch.isfinite(block).all():
                    row = bar.n + int((~torch.isfinite(block).all(1)).nonzero()[0])
                    named = f" ({ids[row]})" if ids else ""
                    raise ValueError(
                        f"the model makes NaN or infinity of picture {row}{named}, the first of them; look at it, at "
                        "the preprocessing and at the weights"
                    )
                yield block.numpy()
                bar.update(len(block))

        if out is None or distributed.rank() == 0:
            rows = gather(blocks(), rows=len(images), path=out)
        else:
            deque(blocks(), maxlen=0)  # the first process writes them
        distributed.wait()
        rows = mapped(out) if out is not None and distributed.rank() else rows
    if isinstance(model, Loaded):
        _watch(rows, model.layer)
    return rows


def embed_layers(
    model: Loaded, pictures: Any, layers: Sequence[str] | None = None, *, batch_size: int | None = None,
    progress: bool = True,
) -> dict[str, Tensor]:  # fmt: skip
    """Rows (N, D) of several layers in one pass over the pictures, each as `embed(model.at(layer), pictures)` gives them.

    Args:
        model: from `models.load`.
        layers: all of `model.layers` unless given.
    """
    if not isinstance(model, Loaded):
        raise TypeError(
            f"model must come from models.load, which knows its layers; got {type(model).__name__}"
        )
    reader = _Layers(model, model.layers if layers is None else layers)
    rows = embed(reader, pictures, batch_size=batch_size, progress=progress)
    found = {
        layer: part.contiguous()
        for layer, part in zip(reader.layers, rows.split(reader.widths, 1), strict=True)
    }
    for layer, part in found.items():
        _watch(part, layer)
    return found


class _Layers(nn.Module):
    """The rows of several layers side by side."""

    def __init__(self, model: Loaded, layers: Sequence[str]) -> None:
        super().__init__()
        self.model, self.preprocessing, self.widths = model, model.preprocessing, [0]
        self.layers = list(dict.fromkeys(layers))
        if not self.layers:
            raise ValueError(f"layers is empty; choose from {model.layers}")

    def forward(self, pictures: Tensor) -> Tensor:
        parts = list(self.model.read(pictures, self.layers).values())
        self.widths = [part.shape[1] for part in parts]
        return torch.cat(parts, 1)


def _images(pictures: Any, preprocessing: Any) -> tuple[Tensor, Sequence[str]]:
    """Pictures (N, C, H, W) and their names, if they have any."""
    if isinstance(pictures, Tensor | np.ndarray):
        return channels_first(pictures), ()
    if isinstance(pictures, str | Path) and preprocessing and Path(pictures).expanduser().is_dir():
        pictures = load(pictures, size=preprocessing.resized or 32)
    elif not isinstance(pictures, PictureSet):
        pictures = load(pictures)
    return pictures.images, pictures.ids


def _watch(rows: Tensor, layer: str) -> None:
    """Say so if the network makes the same of every picture; that is soon seen not to be so."""
    if len(rows) > 1 and all(bool((block == rows[0]).all()) for block in rows.split(4096)):
        warnings.warn(
            f"all {len(rows)} rows of layer {layer} are equal: the network does not see its pictures apart",
            stacklevel=3,
        )


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
def evaluating(model: Model) -> Iterator[None]:
    """A module in evaluation mode inside this block; afterwards each part is as it was."""
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    was_training = [m.training for m in modules]
    try:
        _switch(modules, [False] * len(modules))
        yield
    finally:
        _switch(modules, was_training)


def _switch(modules: Sequence[nn.Module], training: Sequence[bool]) -> None:
    for module, wanted in zip(modules, training, strict=True):
        if module.training != wanted:  # setting goes the long way through nn.Module.__setattr__
            module.training = wanted
