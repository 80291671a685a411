"""Reaches to eight targets, as a population of motor neurons would fire: recordings with a known hidden cause."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sslwork import checks
from sslwork.seeds import generator

NEURONS, BINS, DIRECTIONS, CONTEXTS = 120, 20, 8, 6
BASE, GAIN = 0.8, 0.6  # spikes in a bin of 100 ms at rest; log of the factor that a full reach adds


@dataclass(frozen=True, eq=False)
class Reaches:
    """Recordings of trials: `spikes` (trials, bins, neurons), counts as float, and `direction` (trials,), 0..7."""

    spikes: Tensor
    direction: Tensor

    def __len__(self) -> int:
        return len(self.spikes)


def reaches(split: str = "train", *, trials: int = 200, drift: float = 1.0, seed: int = 0) -> Reaches:
    """Spike counts of 120 neurons in 20 bins per reach, in one of 8 directions under a context of its own.

    log rate of neuron n in bin t of a trial with direction a and context c ~ N(0, I_6):

        log(BASE) + b_n + GAIN speed(t) cos(a - a_n) + drift / 2 w_n c,    spikes ~ Poisson(rate)

    with preferred direction a_n uniform, b_n ~ N(0, 1/4), w_n ~ N(0, I_6 / 6), and the bell-shaped speed of a
    minimum-jerk movement, 16 s^2 (1 - s)^2 for s in 0..1. The context stays for the whole trial: two moments of one
    trial share it, and it says nothing of the direction.

    Args:
        split: "train" or "test": other trials of the same neurons.
        trials: how many, as evenly over the directions as it goes.
        drift: strength of the context, 0 (none) to about 2; neurons fire by exp(drift / 2) more or less, typically.
        seed: of neurons and trials.

    Source: cosine tuning: Georgopoulos, Kalaska, Caminiti, Massey 1982; minimum jerk: Flash, Hogan 1985.

    >>> recorded = reaches(trials=16)
    >>> recorded.spikes.shape, recorded.direction.bincount().tolist()
    (torch.Size([16, 20, 120]), [2, 2, 2, 2, 2, 2, 2, 2])
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    checks.positive(trials, "trials")
    if not 0 <= drift < math.inf:
        raise ValueError(f"drift must be a finite number from 0 on, got {drift}")
    made = generator(seed)
    preferred = 2 * math.pi * torch.rand(NEURONS, generator=made)
    base = math.log(BASE) + torch.randn(NEURONS, generator=made) / 2
    loads = torch.randn(CONTEXTS, NEURONS, generator=made) / math.sqrt(CONTEXTS)
    draw = generator(seed, 1, ("train", "test").index(split))
    direction = torch.randperm(trials, generator=draw) % DIRECTIONS
    context = drift / 2 * torch.randn(trials, CONTEXTS, generator=draw) @ loads  # (trials, neurons)
    tuning = (direction[:, None] * 2 * math.pi / DIRECTIONS - preferred).cos()  # (trials, neurons)
    s = (torch.arange(BINS) + 0.5) / BINS
    speed = 16 * (s * (1 - s)) ** 2  # (bins,), up to 1
    rate = (
        base + context[:, None] + GAIN * speed[:, None] * tuning[:, None]
    ).exp()  # (trials, bins, neurons)
    return Reaches(torch.poisson(rate, generator=draw), direction)
