"""Training: one loop for every method, on any device. Stop it whenever you like; it goes on exactly where it was."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import sslwork
from sslwork import checkpoint
from sslwork.data.pictures import PictureSet
from sslwork.interrupt import interrupt_after_step
from sslwork.methods import Method
from sslwork.panel import Panel, Reading
from sslwork.seeds import generator
from sslwork.views import Views


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over the first tenth, then half a cosine down to zero. A function of the step: nothing to save."""
    warm = max(1, steps // 10)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def batch_rows(step: int, rows: int, batch_size: int, seed: int) -> Tensor:
    """The rows of one batch: every epoch in a new order, the last incomplete batch left out. A function of the step."""
    epoch, place = divmod(step, rows // batch_size)
    return torch.randperm(rows, generator=generator(seed, epoch))[place * batch_size :][:batch_size]


class Run:
    """One training run: everything that changes in it can be saved and restored, bit for bit on a CPU. Made by `fit`.

    `losses` has one number per step; `history` one row per look at the panel; `snapshots` the representations of the
    panel's queries at those steps.
    """

    def __init__(
        self,
        method: Method,
        pictures: PictureSet,
        views: Views,
        panel: Panel | None,
        device: torch.device,
        **plan: Any,
    ) -> None:
        self.method, self.views, self.panel, self.device = method.to(device), views, panel, device
        self.images = pictures.images.to(device)
        self.plan = plan | {
            "views": asdict(views),
            "method": type(method).__name__,
            "settings": method.settings,
            "device": device.type,  # the generator of one kind of device cannot go on with another's state
            "data": pictures.fingerprint(),
        }
        self.optimiser = torch.optim.AdamW(
            method.parameters(), lr=plan["lr"], weight_decay=plan["weight_decay"]
        )
        self.generator = generator(plan["seed"], device=device)
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []
        self.history: list[dict[str, Any]] = []
        self.snapshots: dict[int, Tensor] = {}
        self.reading: Reading | None = None
        self.path: str | Path | None = None  # where checkpoints go

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
        """One optimiser step, and a look at the panel when it is due."""
        started = time.perf_counter()
        rows = batch_rows(self.step, len(self.images), self.plan["batch_size"], self.plan["seed"])
        batch = self.images[rows.to(self.device)]
        self.method.train()
        loss = self._loss(self.views.pair(batch, self.generator))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.steps, self.plan["lr"])
        self.optimiser.step()
        self.method.after_step()
        self.losses.append(loss.item())
        self.step += 1
        self.seconds += time.perf_counter() - started

    def _loss(self, views: tuple[Tensor, Tensor]) -> Tensor:
        try:
            loss = self.method.loss(views)
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
        self.snapshots[self.step] = self.reading.features

    def resume(self, *, show: Callable[[Run], None] | None = None, progress: bool = True) -> Run:
        """Go on to the last step; arguments as in `fit`."""
        with interrupt_after_step() as interrupted, _bar(self, show, progress) as tick:
            self.look()
            while not self.done and not interrupted.is_set():
                self.advance()
                due = self.step % self.plan["every"] == 0 or self.done
                if due:
                    self.look()
                    self._save_or_warn()
                tick(self)
            if interrupted.is_set():
                self._save_or_warn()
        if not self.done:
            print(
                f"Stopped by you at step {self.step} of {self.steps}. run.resume() goes on exactly from here."
            )
        return self

    def state_dict(self) -> dict[str, Any]:
        return {
            "sslwork": sslwork.__version__,
            "plan": self.plan,
            "step": self.step,
            "seconds": self.seconds,
            "method": self.method.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "losses": self.losses,
            "history": self.history,
            "snapshots": self.snapshots,
        }

    def save(self, path: str | Path) -> Path:
        """Write a checkpoint from which `load`, or `fit` with the same path, goes on."""
        return checkpoint.save(self.state_dict(), path)

    def load(self, path: str | Path) -> Run:
        """Put this run where the checkpoint was; refuse one of another model, of other data or of other settings."""
        state = checkpoint.load(path)
        if absent := self.state_dict().keys() - state.keys():
            raise checkpoint.CheckpointError(
                f"{path} is not a checkpoint of a run: it lacks {sorted(absent)}"
            )
        checkpoint.check_weights(self.method, state["method"], path)
        if changed := [key for key, value in self.plan.items() if state["plan"].get(key) != value]:
            was = ", ".join(
                f"{key} {state['plan'].get(key)!r} instead of {self.plan[key]!r}" for key in changed
            )
            raise checkpoint.CheckpointError(
                f"{path} is of a run with {was}. Delete it, or give another path"
            )
        self.method.load_state_dict(state["method"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        for name in ("step", "seconds", "losses", "history", "snapshots"):
            setattr(self, name, state[name])
        return self

    def _save_or_warn(self) -> None:
        """A disk that fills must not cost the training that is under way."""
        if self.path is None:
            return
        try:
            self.save(self.path)
        except checkpoint.CheckpointError as error:
            warnings.warn(f"training goes on without this checkpoint: {error}", stacklevel=3)


def fit(
    method: Method,
    pictures: PictureSet | Tensor,
    *,
    views: Views | None = None,
    steps: int = 250,
    batch_size: int = 256,
    lr: float = 3e-3,
    weight_decay: float = 1e-4,
    seed: int = 0,
    device: torch.device | str = "cpu",
    panel: Panel | None = None,
    every: int | None = None,
    checkpoint: str | Path | None = None,
    show: Callable[[Run], None] | None = None,
    progress: bool = True,
) -> Run:
    """Train `method` on unlabelled `pictures`; it is changed in place, and the run is returned.

    Args:
        method: see `sslwork.methods`.
        pictures: a picture set or a tensor (N, C, H, W); its labels are never looked at.
        views: how views are made; the defaults of `Views` unless given.
        steps, batch_size, lr, weight_decay: AdamW, warm-up over a tenth of the steps, then cosine to zero. A batch
            larger than the set becomes the set.
        seed: of batches and views. Initial weights have their own seed, where they are made.
        device: where to train.
        panel: instruments to read every `every` steps (default: ten times over the run) and before the first.
        checkpoint: a path. Written at each look at the panel; where it exists, the run goes on from it.
        show: called with the run after each step, to draw it; else `progress` shows a plain bar.

    Interrupt the kernel, and it stops after the step in hand: the run is returned, the method is usable, and
    `run.resume()` goes on as if nothing had been. (Interrupt twice to stop at once.)
    """
    data = pictures if isinstance(pictures, PictureSet) else PictureSet(pictures)
    if len(data) < 2:
        raise ValueError(
            "pictures holds one picture: learning without labels needs others to compare it with"
        )
    for name, value, least in (("steps", steps, 1), ("batch_size", batch_size, 2), ("every", every or 1, 1)):
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number, at least {least}; got {value!r}")
    plan = {
        "steps": steps, "batch_size": min(batch_size, len(data)), "lr": lr, "weight_decay": weight_decay, "seed": seed,
        "every": every or max(1, steps // 10),
    }  # fmt: skip
    run = Run(method, data, views or Views(), panel, torch.device(device), **plan)
    if checkpoint is not None and Path(checkpoint).exists():
        run.load(checkpoint)
    run.path = checkpoint
    return run.resume(show=show, progress=progress)


@contextmanager
def _bar(run: Run, show: Callable[[Run], None] | None, progress: bool) -> Iterator[Callable[[Run], None]]:
    """Something to call after each step: the caller's `show`, or a progress bar, or nothing."""
    if show is not None:
        show(run)
        yield show
        return
    if not progress:
        yield lambda run: None
        return
    from tqdm.auto import tqdm

    name = run.plan["method"]
    with tqdm(
        total=run.steps, initial=run.step, desc=name, unit="step", disable=not progress, leave=False
    ) as bar:

        def tick(run: Run) -> None:
            bar.set_postfix(
                loss=f"{run.losses[-1]:.3f}", pictures_s=f"{run.pictures_per_second:,.0f}", refresh=False
            )
            bar.update(1)

        yield tick
