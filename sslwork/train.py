"""Training: one loop for every method, on any device. Stop it whenever you like; it goes on exactly where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from sslwork import distributed, scale
from sslwork.data.pictures import PictureSet
from sslwork.methods import Method
from sslwork.panel import Panel
from sslwork.run import OPTIMISERS, Run
from sslwork.schedule import Batches, batch_rows
from sslwork.trainable import Changes, Samples
from sslwork.views import Views


def fit(
    method: Method,
    pictures: Samples | Tensor,
    *,
    views: Changes | None = None,
    steps: int = 250,
    batch_size: int = 256,
    lr: float = 3e-3,
    weight_decay: float = 1e-4,
    optimiser: str = "adamw",
    batches: Batches = batch_rows,
    seed: int = 0,
    device: torch.device | str | None = None,
    panel: Panel | None = None,
    every: int | None = None,
    checkpoint: str | Path | None = None,
    precision: str | None = None,
    compile: str | None = None,
    show: Callable[[Run], None] | None = None,
    progress: bool = True,
) -> Run:
    """Train `method` on unlabelled `pictures`; it is changed in place, and the run is returned.

    Args:
        method: see `sslwork.methods`.
        pictures: a picture set or a tensor (N, C, H, W); its labels are never looked at. Other samples will do that
            keep to `trainable.Samples`, with views of their own.
        views: how views are made; the defaults of `Views` unless given.
        steps, batch_size, lr, weight_decay: warm-up over a tenth of the steps, then cosine to zero. A batch larger
            than the set becomes the set.
        optimiser: "adamw", or "sgd" with momentum 0.9.
        batches: which rows come together, see `sslwork.batches`; by default every epoch in a new random order.
        seed: of batches and views. Initial weights have their own seed, where they are made.
        device: where to train; by default where the scale says: the GPU for SSLWORK_SCALE=gpu, else the CPU.
        precision: of the networks, "float32" or "bfloat16"; by default bfloat16 on a GPU that has it, else float32.
        compile: the backend that compiles the step, "inductor" say, which needs a compiler; the first
            steps then take longer.
        show: called with the run after each step, to draw it; else `progress` shows a plain bar.

    Interrupt the kernel, and it stops after the step in hand: the run is returned, the method is usable, and
    `run.resume()` goes on as if nothing had been. (Interrupt twice to stop at once.)

    Under `torchrun`, or in a function given to `sslwork.launch`, the processes train one run together: each takes its
    share of every batch, and losses and batch norms see all of it.
    """
    data = pictures if isinstance(pictures, Samples) else PictureSet(pictures)
    if len(data) < 2:
        raise ValueError(
            "pictures holds one picture: learning without labels needs others to compare it with"
        )
    for name, value, least in (("steps", steps, 1), ("batch_size", batch_size, 2), ("every", every or 1, 1)):
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number, at least {least}; got {value!r}")
    if optimiser not in OPTIMISERS:
        raise ValueError(f"optimiser must be one of {list(OPTIMISERS)}, got {optimiser!r}")
    place = torch.device(scale.current().device if device is None else device)
    distributed.join(place)
    batch_size = min(batch_size, len(data))
    if batch_size % distributed.world_size():
        raise ValueError(
            f"batch_size {batch_size} cannot be shared evenly by {distributed.world_size()} processes"
        )
    if precision is None:
        good = place.type == "cuda" and torch.cuda.is_bf16_supported()
        precision = "bfloat16" if good else "float32"
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision must be 'float32' or 'bfloat16', got {precision!r}")
    plan = {
        "steps": steps, "batch_size": batch_size, "lr": lr, "weight_decay": weight_decay, "seed": seed,
        "every": every or max(1, steps // 10), "precision": precision, "optimiser": optimiser,
    }  # fmt: skip
    run = Run(method, data, views or Views(), batches, panel, place, compile, **plan)
    if checkpoint is not None and Path(checkpoint).exists():
        run.load(checkpoint)
    run.path = checkpoint
    return run.resume(show=show, progress=progress)
