"""How large the runs are: one environment variable, read here and nowhere else."""

import os
from dataclasses import dataclass
from typing import TypeVar

import torch

_T = TypeVar("_T")


@dataclass(frozen=True)
class Scale:
    """Sizes of every run of the workbook. The code path is the same at each scale."""

    name: str
    copies: int  # stickers per drawing in the training set
    steps: int  # optimiser steps of one training run
    batch_size: int
    width: int  # channels of the encoder's first layer
    depth: int  # convolutions, each halving the picture
    size: int  # side of a picture, pixels
    seeds: tuple[int, ...]

    @property
    def test_copies(self) -> int:
        """Stickers per drawing in the test set."""
        return self.copies // 2

    @property
    def short_steps(self) -> int:
        """Steps of a run that only has to show something going wrong."""
        return max(10, self.steps // 4)

    @property
    def device(self) -> torch.device:
        """The GPU if this scale wants one and there is one, else the CPU."""
        if self.name != "gpu":
            return torch.device("cpu")
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.mps.is_available() else "cpu"
        )

    def pick(self, *, smoke: _T, lab: _T, gpu: _T) -> _T:
        """A size that only one experiment has, chosen where it is used."""
        return {"smoke": smoke, "lab": lab, "gpu": gpu}[self.name]

    def __str__(self) -> str:
        return (
            f"SSLWORK_SCALE={self.name}: {self.steps} steps of {self.batch_size} pictures, "
            f"encoder of {self.depth} layers from width {self.width}, seeds {self.seeds}, on {self.device}"
        )


SCALES = {
    scale.name: scale
    for scale in (
        Scale("smoke", copies=8, steps=12, batch_size=64, width=8, depth=3, size=32, seeds=(0, 1, 2)),
        Scale("lab", copies=40, steps=200, batch_size=256, width=16, depth=3, size=32, seeds=(0, 1, 2)),
        Scale(
            "gpu", copies=400, steps=4000, batch_size=512, width=64, depth=4, size=64, seeds=(0, 1, 2, 3, 4)
        ),
    )
}


def current() -> Scale:
    """The scale named by `SSLWORK_SCALE`: smoke (seconds), lab (the default, for a laptop) or gpu."""
    name = os.environ.get("SSLWORK_SCALE", "lab")
    if name not in SCALES:
        raise ValueError(f"SSLWORK_SCALE is {name!r}; choose one of {', '.join(SCALES)}")
    return SCALES[name]
