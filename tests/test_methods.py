"""What each base method must do between the steps: twins, queues, predictors, and the controls that collapse."""

import pytest
import torch

from sslwork import embed, encoders, methods, train
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


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_the_optimiser_moves_the_queries_network_alone(stickers, momentum):
    method = MoCo(encoder(), dim=8, queue=64, momentum=momentum)
    before = [p.clone() for p in method.parameters()]
    train.fit(method, stickers, steps=1, **SMALL)
    online, keys = [*method.encoder.parameters(), *method.head.parameters()], [*method.twin.parameters()]
    start = [
        old for old, (name, _) in zip(before, method.named_parameters(), strict=True) if "twin" not in name
    ]
    assert any(not torch.equal(a, b) for a, b in zip(online, start, strict=True))
    wanted = start if momentum else online  # equal to the network, or never moved
    assert all(torch.equal(a, b) for a, b in zip(keys, wanted, strict=True))


def test_moco_says_when_the_queue_does_not_fit(stickers):
    with pytest.raises(ValueError, match="queue must be a multiple of the batch size 32, got 100"):
        train.fit(MoCo(encoder(), dim=8, queue=100), stickers, steps=1, **SMALL)


def test_byol_gives_no_gradient_to_its_target(stickers):
    method = BYOL(encoder(), dim=8)
    train.fit(method, stickers, steps=2, **SMALL)
    assert all(p.grad is None for p in method.twin.parameters())
    assert all(p.grad is not None for p in method.predictor.parameters())


def test_simsiam_without_its_stop_gradient_collapses(stickers, throws):
    """Batch norm at the end of the head keeps each column spread: it is the directions that are lost."""
    broken, panel = SimSiam(encoder(), dim=16, stop_gradient=False), Panel(stickers, throws)
    run = train.fit(broken, stickers, panel=panel, steps=120, batch_size=64, lr=0.01, progress=False)
    assert run.reading.verdict.state in ("collapsed", "dimensional")


def test_vicreg_without_its_variance_shrinks_to_a_point(stickers, throws):
    """In its own scale: where the point is zero, rows scaled to length one may still point anywhere."""
    whole, broken = (VICReg(encoder(), dim=16, **options) for options in ({}, {"variance": 0}))
    for method in (whole, broken):
        train.fit(method, stickers, steps=120, batch_size=64, lr=0.01, progress=False)
    wide, narrow = (embed(method, throws, progress=False).std(0).mean() for method in (whole, broken))
    assert narrow < 0.1 * wide


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
