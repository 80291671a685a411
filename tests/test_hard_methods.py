"""Methods with hard negatives: what reaches the loss, when mixing begins, and what is never stored."""

import pytest
import torch

from sslwork import encoders, losses, train
from sslwork.methods import Batch, HardContrastive, MoCHi, MoCo
from sslwork.seeds import generator

SMALL = {"steps": 6, "batch_size": 16, "progress": False}


def encoder():
    return encoders.conv(4, 2)


def batch(done=1.0):
    first, second = torch.rand(2, 16, 3, 8, 8, generator=generator(1))
    return Batch((first, second), torch.arange(16), torch.empty(0), done, generator(2))


def test_hard_contrastive_is_its_loss():
    method = HardContrastive(encoder(), dim=8, temperature=0.5, alpha=0.25)
    z1, z2 = method.outputs(batch())
    assert torch.equal(method.loss(z1, z2), losses.hard_contrastive(z1, z2, temperature=0.5, alpha=0.25))
    method.alpha = 1.0
    ordinary = losses.hard_contrastive(z1, z2, temperature=0.5, alpha=1.0)
    assert torch.equal(method.loss(z1, z2), ordinary)


def test_without_mixtures_mochi_is_moco(stickers):
    options = {"dim": 8, "queue": 64}
    none = MoCHi(encoder(), n_mixed=0, n_query_mixed=0, start=0, n_hard=8, **options)
    mine, theirs = (train.fit(method, stickers, **SMALL) for method in (none, MoCo(encoder(), **options)))
    assert mine.losses == pytest.approx(theirs.losses, rel=1e-5)


def test_mixing_begins_when_told_and_makes_the_task_harder(stickers):
    late, moco = (kind(encoder(), dim=8, queue=64) for kind in (MoCHi, MoCo))
    late.n_hard, late.start = 8, 0.5
    mine, theirs = (train.fit(method, stickers, **SMALL).losses for method in (late, moco))
    assert mine[:3] == theirs[:3] and mine[3] > theirs[3]


def test_the_loss_is_that_of_mixtures_from_the_old_queue():
    method = MoCHi(encoder(), dim=8, queue=64, n_hard=8, n_mixed=3, n_query_mixed=2, start=0.5)
    queue = method.queue.clone()
    queries, keys = method.outputs(batch(0.5))
    value = method.loss(queries, keys)
    made = losses.mochi_negatives(
        queries, queue, n_hard=8, n_mixed=3, n_query_mixed=2, generator=generator(2)
    )
    assert torch.equal(value, losses.mochi(queries, keys, queue, made, temperature=method.temperature))
    assert torch.equal(method.queue, queue)
    method.after_step(1.0)
    stored = torch.nn.functional.normalize(keys, dim=1)
    assert torch.equal(method.queue, torch.cat([stored, queue[16:]]))  # keys alone, no mixtures


def test_bad_numbers_are_named():
    with pytest.raises(ValueError, match="start is a share of the training, 0 to 1; got 150"):
        MoCHi(encoder(), start=150)
    with pytest.raises(ValueError, match="n_hard must be 2 to 64, the rows of the queue; got 65"):
        method = MoCHi(encoder(), dim=8, queue=64, n_hard=65)
        method.loss(*method.outputs(batch()))
    with pytest.raises(ValueError, match="alpha is the share of negatives kept"):
        method = HardContrastive(encoder(), alpha=20)
        method.loss(*method.outputs(batch()))
