"""One training run: a loop of steps that can be stopped, saved and resumed at each of them."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import sslwork
from sslwork import checkpoint, distributed
from sslwork.interrupt import interrupt_after_step
from sslwork.methods import Batch, Method
from sslwork.panel import Panel, Reading
from sslwork.progress import bar
from sslwork.schedule import Batches, learning_rate
from sslwork.seeds import generator
from sslwork.trainable import Changes, Samples

# Seconds after which a run saves itself though no look at the panel is due.
SAVE_EVERY = 60
# Adam divides by the size of the gradient, and so hides whatever a loss does to it. Plain descent shows it.
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}


class Step(nn.Module):
    """From batch to loss, as one module: what is compiled, and what several processes share.

    The networks run in `precision`, the loss in float32 (float64 if the method is) on the rows of all processes.
    """

    def __init__(self, method: Method, precision: torch.dtype) -> None:
        super().__init__()
        self.method, self.precision = method, precision

    def forward(self, batch: Batch) -> Tensor:
        kind = batch.views[0].device.type
        with torch.autocast(kind, self.precision, enabled=self.precision != torch.float32):
            outputs = self.method.outputs(batch)
        outputs = tuple(
            rows.to(torch.promote_types(rows.dtype, torch.float32)) if rows.is_floating_point() else rows
            for rows in outputs
        )
        return self.method.loss(*map(distributed.gather, outputs))


class Run:
    """One training run: everything that changes in it can be saved and restored, bit for bit on a CPU. Made by `fit`.

    `losses` has one number per step; `history` one row per look at the panel; `snapshots` the representations of the
    panel's queries at those steps, `spectra` their spectra.
    """

    def __init__(
        self,
        method: Method,
        pictures: Samples,
        views: Changes,
        batches: Batches,
        panel: Panel | None,
        device: torch.device,
        compile: str | None = None,
        **plan: Any,
    ) -> None:
        self.method, self.views, self.panel, self.device = method.to(device), views, panel, device
        self.batches = batches
        self.pictures, self.images = pictures, _near(pictures.images, device)
        self.plan = plan | {
            "views": dict(vars(views)),
            "batches": getattr(batches, "__name__", None) or repr(batches),
            "method": type(method).__name__,
            "settings": method.settings,
            "device": device.type,  # the generator of one kind of device cannot go on with another's state
        }
        step = Step(method, getattr(torch, plan["precision"]))
        if compile:
            step.compile(backend=compile)
        self._step = distributed.parallel(step, device)
        self.optimiser = OPTIMISERS[plan["optimiser"]](
            method.parameters(), lr=plan["lr"], weight_decay=plan["weight_decay"], fused=True
        )
        self.generator = generator(plan["seed"], device=device)
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []
        self.history: list[dict[str, Any]] = []
        self.snapshots: dict[int, Tensor] = {}
        self.spectra: dict[int, dict[str, Tensor]] = {}
        self.reading: Reading | None = None
        self.path: str | Path | None = None  # where checkpoints go

    @cached_property
    def _fingerprint(self) -> str:
        return self.pictures.fingerprint()

    @property
    def steps(self) -> int:
        return self.plan["steps"]

    @property
    def done(self) -> bool:
        return self.step >= self.steps

    @property
    def pictures_per_second(self) -> float:
        """Pictures seen per second of training, each in two views, augmentation included, looks at the panel not."""
        return self.step * self.plan["batch_size"] / self.seconds if self.seconds else 0.0

    def __repr__(self) -> str:
        state = "done" if self.done else "stopped; run.resume() goes on"
        return f"Run({self.plan['method']}, step {self.step} of {self.steps}, {state}, {self.seconds:.1f} s)"

    def advance(self) -> None:
        """One optimiser step."""
        started = time.perf_counter()
        self.method.train()
        loss = self._loss(self._batch())
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.steps, self.plan["lr"])
        self.optimiser.step()
        self.step += 1
        self.method.after_step(self.step / self.steps)
        self.losses.append(loss.item())
        self.seconds += time.perf_counter() - started

    def _batch(self) -> Batch:
        """This process's share of the views, from random numbers which are drawn for the whole batch."""
        rows = self.batches(self.step, len(self.images), self.plan["batch_size"], self.plan["seed"])
        images = self.images[rows.to(self.images.device)].to(self.device)
        drawn = self.views.several(images, self.method.n_views, self.generator)
        mine = distributed.part(images)
        views = tuple(
            self.views.apply(mine, {name: distributed.part(value) for name, value in view.items()})
            for view in drawn
        )
        own = distributed.part(rows).to(self.device)
        return Batch(views, own, self.images, self.step / self.steps, self.generator)

    def _loss(self, batch: Batch) -> Tensor:
        try:
            loss = self._step(batch)
            if not torch.isfinite(loss):
                raise ValueError(f"the loss is {loss.item()}")
        except ValueError as error:
            if self.step == 0:  # nothing has been learnt yet: the input is wrong, and the error says how
                raise
            raise FloatingPointError(
                f"training broke down at step {self.step}: {error}. Start anew, or from an earlier checkpoint, with a "
                "lower learning rate or a higher temperature"
            ) from error
        return loss

    def look(self) -> None:
        """Read the panel: one more row of history, one more snapshot."""
        seen = bool(self.history) and self.history[-1]["step"] == self.step
        if self.panel is None or (seen and self.reading is not None):
            return
        self.reading = self.panel(self.method)
        if seen:  # a run put back from a checkpoint has the row, but not the reading
            return
        recent = self.losses[-self.plan["every"] :]
        loss = sum(recent) / len(recent) if recent else math.nan
        row = {"step": self.step, "seconds": self.seconds, "loss": loss, **self.reading.numbers}
        self.history.append(row | {"verdict": str(self.reading.verdict)})
        self.snapshots[self.step], self.spectra[self.step] = self.reading.features, self.reading.spectra

    def resume(self, *, show: Callable[[Run], None] | None = None, progress: bool = True) -> Run:
        """Go on to the last step; arguments as in `fit`."""
        with interrupt_after_step() as interrupted, bar(self, show, progress) as tick:
            self.look()
            saved = time.monotonic()
            while not self.done and not distributed.any_of(interrupted.is_set(), self.device):
                self.advance()
                if due := self.step % self.plan["every"] == 0 or self.done:
                    self.look()
                if due or time.monotonic() - saved > SAVE_EVERY:
                    self._save_or_warn()
                    saved = time.monotonic()
                tick(self)
        if not self.done:
            self._save_or_warn()
            if distributed.rank() == 0:
                print(
                    f"Stopped by you at step {self.step} of {self.steps}. run.resume() goes on exactly from here."
                )
        return self

    def state_dict(self) -> dict[str, Any]:
        return {
            "sslwork": sslwork.__version__,
            "plan": self.plan | {"data": self._fingerprint},
            "step": self.step,
            "seconds": self.seconds,
            "method": self.method.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "losses": self.losses,
            "history": self.history,
            "snapshots": self.snapshots,
            "spectra": self.spectra,
        }

    def save(self, path: str | Path) -> Path:
        """Write a checkpoint from which `load`, or `fit` with the same path, goes on."""
        return checkpoint.save(self.state_dict(), path)

    def load(self, path: str | Path) -> Run:
        """Put this run where the checkpoint was; refuse one of another model, of other data or of other settings."""
        state = checkpoint.load(path)
        own = self.state_dict()
        if absent := own.keys() - state.keys():
            raise checkpoint.CheckpointError(
                f"{path} is not a checkpoint of a run: it lacks {sorted(absent)}"
            )
        checkpoint.check_weights(self.method, state["method"], path)
        if changed := [key for key, value in own["plan"].items() if state["plan"].get(key) != value]:
            was = ", ".join(
                f"{key} {state['plan'].get(key)!r} instead of {own['plan'][key]!r}" for key in changed
            )
            raise checkpoint.CheckpointError(
                f"{path} is of a run with {was}. Delete it, or give another path"
            )
        if (version := state["sslwork"]) != sslwork.__version__:
            warnings.warn(
                f"{path} was written by sslwork {version}, this is {sslwork.__version__}: the run goes on, but perhaps "
                "not bit for bit",
                stacklevel=3,
            )
        self.method.load_state_dict(state["method"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        for name in ("step", "seconds", "losses", "history", "snapshots", "spectra"):
            setattr(self, name, state[name])
        return self

    def _save_or_warn(self) -> None:
        """A disk that fills must not cost the training that is under way."""
        if self.path is None or distributed.rank() > 0:
            return
        try:
            self.save(self.path)
        except checkpoint.CheckpointError as error:
            warnings.warn(f"training goes on without this checkpoint: {error}", stacklevel=3)


def _near(images: Tensor, device: torch.device) -> Tensor:
    """On the GPU if they take less than half of what is free there; else batches travel one by one."""
    if device.type == "cuda" and images.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
        return images
    return images.to(device)
