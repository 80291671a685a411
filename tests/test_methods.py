"""What each base method must do between the steps: twins, queues, predictors, and the controls that collapse."""

import pytest
import torch

from sslwork import encoders, methods, train
from sslwork.methods import BYOL, MoCo, SimSiam, Twin, VICReg
from sslwork.panel import Panel
from sslwork.schedule import momentum

SMALL = {"batch_size": 32, "progress": False}


def encoder():
    return encoders.conv(4, 2)


def test_twin_moves_by_the_average_alone():
    net, other = encoder(), encoders.conv(4, 2, seed=1)
    twin = Twin(net)
    before = [p.clone() for p in twin.parameters()]
    twin.follow(other, 0.9)
    for now, old, new in zip(twin.parameters(), before, other.parameters(), strict=True):
        assert not now.requires_grad
        torch.testing.assert_close(now, 0.9 * old + 0.1 * new)
    twin.follow(other, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), other.parameters(), strict=True))


def test_momentum_rises_from_its_start_to_one():
    assert momentum(0, 0.98) == pytest.approx(0.98) and momentum(1, 0.98) == 1
    assert momentum(0.5, 0.98) == pytest.approx(0.99)


def test_moco_takes_in_new_keys_over_the_oldest(stickers):
    method = MoCo(encoder(), dim=8, queue=96, momentum=0.5)
    start = method.queue.clone()
    run = train.fit(method, stickers, steps=4, show=lambda run: seen.append(method.queue.clone()), **SMALL)
    assert run.done and int(method.place) == 32  # 4 batches of 32 in a ring of 96
    torch.testing.assert_close(method.queue.norm(dim=1), torch.ones(96))
    assert torch.equal(seen[1][32:], start[32:]) and not torch.equal(seen[1][:32], start[:32])
    assert torch.equal(seen[4][32:], seen[3][32:])
    assert all(p.grad is None for p in method.twin.parameters())


seen = []


@pytest.fixture(autouse=True)
def forget():
    seen.clear()


def test_moco_says_when_the_queue_does_not_fit(stickers):
    with pytest.raises(ValueError, match="queue must be a multiple of the batch size 32, got 100"):
        train.fit(MoCo(encoder(), dim=8, queue=100), stickers, steps=1, **SMALL)


def test_byol_gives_no_gradient_to_its_target(stickers):
    method = BYOL(encoder(), dim=8)
    train.fit(method, stickers, steps=2, **SMALL)
    assert all(p.grad is None for p in method.twin.parameters())
    assert all(p.grad is not None for p in method.predictor.parameters())


@pytest.mark.parametrize(
    "broken",
    [lambda: SimSiam(encoder(), dim=16, stop_gradient=False), lambda: VICReg(encoder(), dim=16, variance=0)],
    ids=["SimSiam without stop-gradient", "VICReg without variance"],
)
def test_controls_collapse(broken, stickers, throws):
    run = train.fit(
        broken(), stickers, panel=Panel(stickers, throws), steps=120, batch_size=64, lr=0.01, progress=False
    )
    # Batch norm at the end of SimSiam's head keeps each column spread: there it is the directions that are lost.
    assert run.reading.verdict.state in ("collapsed", "dimensional")


@pytest.mark.parametrize("kind", [SimSiam, VICReg, methods.BarlowTwins, BYOL])
def test_the_full_methods_do_not(kind, stickers, throws):
    run = train.fit(
        kind(encoder(), dim=16),
        stickers,
        panel=Panel(stickers, throws),
        steps=60,
        batch_size=64,
        progress=False,
    )
    assert run.reading.verdict.state == "healthy"
