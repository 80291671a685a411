"""Randomness from a seed, without touching the global state."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def generator(*seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for this sequence of numbers, e.g. `generator(run_seed, epoch)`."""
    mixed = 0
    for part in seed:  # a fixed mix, so that (0, 1) and (1, 0) differ
        mixed = (mixed * 1_000_003 + part + 1) % (2**63 - 1)
    return torch.Generator(device).manual_seed(mixed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initialise modules inside this block from `seed`; torch's global generator is put back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # the CPU one only: modules are made there, then moved
        yield
