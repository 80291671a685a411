"""Something to look at while a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sslwork import distributed

if TYPE_CHECKING:
    from sslwork.run import Run


@contextmanager
def bar(run: Run, show: Callable[[Run], None] | None, progress: bool) -> Iterator[Callable[[Run], None]]:
    """Something to call after each step: the caller's `show`, or a progress bar, or nothing."""
    if show is not None:
        show(run)
        yield show
        return
    if not progress or distributed.rank() > 0:
        yield lambda run: None
        return
    from tqdm import auto, std

    tqdm = std.tqdm if distributed.together() else auto.tqdm  # a fork cannot reach the notebook's widgets
    name = run.plan["method"]
    with tqdm(total=run.steps, initial=run.step, desc=name, unit="step", leave=False) as line:

        def tick(run: Run) -> None:
            line.set_postfix(
                loss=f"{run.losses[-1]:.3f}", pictures_s=f"{run.pictures_per_second:,.0f}", refresh=False
            )
            line.update(1)

        yield tick
