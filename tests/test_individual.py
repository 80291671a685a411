"""iSogCLR trained: the state of a picture follows the picture, whatever its place in the batch, and SogCLR's stands still."""

import pytest
import torch

from sslwork import encoders, methods, train

SMALL = {"steps": 6, "batch_size": 32, "progress": False}


def make(**options):
    return methods.ISogCLR(encoders.conv(4, 2), dim=8, **options)


def test_the_state_is_that_of_the_rows_seen(stickers):
    """Six batches of 32 in an epoch of 96: every picture is seen twice, no other row has a state."""
    method = make(pictures=200)
    train.fit(method, stickers, **SMALL)
    seen = method.objective.log_means.isfinite()
    assert len(stickers) == 96 and seen[:96].all() and not seen[96:].any()
    moved = method.objective.temperatures != 0.1
    assert moved[:96].all() and not moved[96:].any()


def test_state_follows_the_picture():
    """Another place in the batch is the same step."""
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))

    states = []
    for place in (torch.arange(32), order):
        method = make(pictures=96)
        z1, z2 = torch.randn(2, 32, 8, generator=torch.Generator().manual_seed(1))
        method.train()
        method.loss(z1[place], z2[place], place)
        states.append(method.objective.temperatures)
    torch.testing.assert_close(states[0], states[1], rtol=1e-5, atol=0)


def test_sogclr_holds_its_temperature(stickers):
    method = make(pictures=96, individual=False, temperature=0.2)
    train.fit(method, stickers, **SMALL)
    assert (method.objective.temperatures == 0.2).all()
    assert method.objective.log_means.isfinite().all()


def test_measuring_moves_nothing():
    method = make(pictures=96)
    before = method.objective.temperatures.clone()
    method.eval()
    method.loss(*torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(8))
    assert torch.equal(method.objective.temperatures, before)


def test_too_few_states_are_refused(stickers):
    with pytest.raises(ValueError, match="pictures must be at least 96, the size of the set; got 50"):
        train.fit(make(pictures=50), stickers, **SMALL)


def test_other_settings_are_another_run():
    assert make(rho=0.1).settings != make(rho=0.2).settings
