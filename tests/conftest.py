"""Shared parts of the tests: real pictures, small models, and a watch on torch's global random state."""

import pytest
import torch

from sslwork import data, encoders, methods
from sslwork.data import PictureSet


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
    """Nothing in the package may draw from, or seed, torch's global generator."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state()), "torch's global random state was changed"


def pytest_addoption(parser):
    parser.addoption("--write-api", action="store_true", help="write tests/public_api.txt anew")
