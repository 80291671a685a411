"""What remains of a run once its weights are gone: the numbers, as plain lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch


class Recorded(Protocol):
    """What is read of a run: a row of numbers and some spectra for each look at the panel."""

    @property
    def step(self) -> int: ...
    @property
    def history(self) -> list[dict[str, Any]]: ...
    @property
    def spectra(self) -> Mapping[int, Mapping[str, Any]]: ...


@dataclass
class Record:
    """The numbers of a run, as they stood when it was recorded; what reads a `Run`'s curves reads these.

    Args:
        step: optimiser steps made.
        history: one row per look at the panel, with the "step" of the look.
        spectra: step of a look -> name -> numbers (see `panel.Reading`).
        losses: one per step, if they are kept.

    Raises:
        ValueError: spectra of a step without a row, or spectra that are no lists of finite numbers.
    """

    step: int
    history: list[dict[str, Any]]
    spectra: dict[int, dict[str, list[float]]]
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if strays := self.spectra.keys() - {row["step"] for row in self.history}:
            raise ValueError(f"spectra has steps {sorted(strays)} of which history has no row")
        for step, named in self.spectra.items():
            for name, values in named.items():
                row = torch.as_tensor(values, dtype=torch.double)
                if row.ndim != 1 or not len(row) or not row.isfinite().all():
                    raise ValueError(
                        f"spectra[{step}][{name!r}] must be a list of finite numbers, got {values!r:.60}"
                    )

    @classmethod
    def of(cls, run: Recorded) -> Record:
        """The numbers of a run, finished or not, or a copy of a record."""
        spectra = {
            int(step): {
                name: torch.as_tensor(values, dtype=torch.double).tolist() for name, values in named.items()
            }
            for step, named in run.spectra.items()
        }
        return cls(run.step, [dict(row) for row in run.history], spectra, list(getattr(run, "losses", [])))

    def at(self, step: int) -> tuple[dict[str, Any], dict[str, list[float]]] | None:
        """Row and spectra of the last look up to `step`; None before the first."""
        looks = [look for look in self.spectra if look <= step]
        if not looks:
            return None
        rows = {row["step"]: row for row in self.history}
        return rows[max(looks)], self.spectra[max(looks)]
