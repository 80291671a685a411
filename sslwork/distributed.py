"""Several processes, one run: each takes its share of a batch, every loss and every batch norm sees all of it.

`train.fit` and `embed` need no change. From a notebook cell, `launch` starts the processes (Lightning Fabric does);
from a shell, `torchrun` does, on one machine or on many.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as differentiable
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_T = TypeVar("_T")


def together() -> bool:
    """Whether several processes work on this run."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """This process among all, from 0 on; 0 writes the checkpoints and draws the bar."""
    return dist.get_rank() if together() else 0


def world_size() -> int:
    """How many processes work on this run."""
    return dist.get_world_size() if together() else 1


def join(device: torch.device) -> None:
    """Where `torchrun` started this process: meet the others, once, and take the GPU that is this process's own."""
    if not dist.is_available() or dist.is_initialized() or not dist.is_torchelastic_launched():
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    atexit.register(dist.destroy_process_group)


def part(rows: Tensor) -> Tensor:
    """This process's part of these rows: parts are equal, in the order of ranks, and the last row fills up the last."""
    if not together():
        return rows
    size = -(-len(rows) // world_size())
    return rows[torch.arange(size * rank(), size * (rank() + 1)).clamp(max=len(rows) - 1)]


def gather(rows: Tensor) -> Tensor:
    """The rows of all processes, in the order of ranks: (n, ...) -> (n * world size, ...); gradients find their way back.

    Every process then works out the same loss of all rows. The gradients that come back are summed over processes,
    which the mean that `DistributedDataParallel` takes turns into the gradient of one process with the whole batch.
    """
    return torch.cat(differentiable.all_gather(rows)) if together() else rows


def any_of(flag: bool, device: torch.device) -> bool:
    """Whether the flag is raised in any process, so that all of them stop after the same step."""
    if not together():
        return flag
    raised = torch.tensor(float(flag), device=device)
    dist.all_reduce(raised, dist.ReduceOp.MAX)
    return bool(raised)


def wait() -> None:
    """For all other processes to come here."""
    if together():
        dist.barrier()


class GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the rows of all processes, for CPUs: torch's own, `SyncBatchNorm`, works on GPUs only."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Stands in for norms of any number of dimensions."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape."""
        if not (self.training and together()):
            return super().forward(x)
        dims, shape = [0, *range(2, x.ndim)], [1, -1] + [1] * (x.ndim - 2)
        n = x.numel() // x.shape[1] * world_size()
        mean = differentiable.all_reduce(x.sum(dims)) / n  # (C,)
        centred = x - mean.view(shape)
        variance = differentiable.all_reduce(centred.square().sum(dims)) / n  # (C,)
        if self.running_mean is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.detach(), weight)
            self.running_var.lerp_(variance.detach() * n / (n - 1), weight)  # type: ignore[union-attr]
        scale = (variance + self.eps).rsqrt() * (1 if self.weight is None else self.weight)
        out = centred * scale.view(shape)
        return out if self.bias is None else out + self.bias.view(shape)


def parallel(step: nn.Module, device: torch.device) -> nn.Module:
    """A module whose forward gives a loss of gathered rows, made to train in step with those of the other processes."""
    if not together():
        return step
    on_gpu = device.type == "cuda"
    for module in step.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            # The same weights under the same names, another forward.
            module.__class__ = nn.SyncBatchNorm if on_gpu else GlobalBatchNorm
            module.process_group = None  # type: ignore[assignment]
    index = [torch.cuda.current_device()] if on_gpu else None
    return nn.parallel.DistributedDataParallel(step, device_ids=index)


def launch(
    function: Callable[..., _T],
    *args: Any,
    devices: int | str = "auto",
    accelerator: str = "auto",
    **kwargs: Any,
) -> _T:
    """Call `function` in one process per device of this machine; what the first of them returns comes back.

    Made for notebook cells: the processes are forks, so `function` may be defined in the cell and use what the
    notebook has loaded. On a CPU each process computes with one thread. On GPUs, call it before anything in the
    notebook has touched the GPU. With one device, or under `torchrun`, it is a plain call.

    Args:
        function: trains, embeds or measures; called with `args` and `kwargs`. Return a method, weights, numbers.
        devices: how many, or "auto" for all GPUs (one CPU process where there is none).
        accelerator: "auto", "cpu" or "cuda".
    """
    if devices == 1 or (dist.is_available() and dist.is_torchelastic_launched()):
        return function(*args, **kwargs)
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=devices, strategy="ddp_notebook")
    if fabric.world_size == 1:
        return function(*args, **kwargs)
    with tempfile.TemporaryDirectory() as folder:
        # By a file: a queue between forks cannot carry tensors that outlive one.
        result = Path(folder, "result.pt")

        def work(fabric: Fabric) -> None:
            if fabric.device.type == "cpu":
                torch.set_num_threads(1)  # GNU's OpenMP hangs in a fork that asks it for more
            value = function(*args, **kwargs)
            if fabric.is_global_zero:
                torch.save(value, result)
            fabric.barrier()

        fabric.launch(work)
        return torch.load(result, weights_only=False)  # written a moment ago, by ourselves
