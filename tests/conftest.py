"""Shared parts of the tests: real pictures, small models, and a watch on the global random states."""

import random

import numpy as np
import pytest
import sklearn.preprocessing  # noqa: F401 - brings rich, whose import draws a number; before the watch begins
import torch

from sslwork import data, encoders, methods
from sslwork.data import PictureSet
from sslwork.threads import one_thread


@pytest.fixture(scope="session", autouse=True)
def on_one_thread():
    """Nets and pictures are small here: a second thread makes them slower, on busy cores several times."""
    with one_thread():
        yield


@pytest.fixture(scope="session")
def stickers() -> PictureSet:
    return data.load("stickers", copies=2, size=16)


@pytest.fixture(scope="session")
def throws() -> PictureSet:
    return data.load("stickers", split="test", copies=2, size=16)


@pytest.fixture
def simclr() -> methods.SimCLR:
    return methods.SimCLR(encoders.conv(4, 2), dim=8)


@pytest.fixture(autouse=True)
def global_randomness_untouched(request):
    """Nothing in the package may draw from, or seed, a global generator."""

    def states():
        return {
            "torch": torch.get_rng_state().numpy().tobytes(),
            "numpy": np.random.get_state()[1].tobytes(),
            "python": random.getstate(),
        }

    before = states()
    yield
    changed = [name for name, state in states().items() if state != before[name]]
    assert not changed, f"the global random state of {changed} was changed"


def pytest_addoption(parser):
    parser.addoption("--write-api", action="store_true", help="write tests/public_api.txt anew")
