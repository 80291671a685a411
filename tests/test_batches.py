"""Orders of batches: one per cluster, one cluster per batch, and the paper's guided order."""

import pytest
import torch

from sslwork import encoders, methods, train
from sslwork.batches import Guided, OnePerCluster, WithinCluster, guided_order

EQUAL = torch.arange(12) % 4  # four clusters of three


def test_one_per_cluster_has_no_clash_and_changes_with_the_step():
    order = OnePerCluster(EQUAL)
    for step in range(20):
        rows = order(step, 12, 4, 0)
        assert sorted(EQUAL[rows].tolist()) == [0, 1, 2, 3]
    assert len({tuple(order(step, 12, 4, 0).tolist()) for step in range(20)}) > 10
    assert torch.equal(order(3, 12, 4, 0), order(3, 12, 4, 0))
    assert not torch.equal(order(3, 12, 4, 0), order(3, 12, 4, 1))


def test_a_batch_larger_than_the_clusters_takes_other_members():
    rows = OnePerCluster(EQUAL)(0, 12, 10, 0)
    assert len(rows) == len(set(rows.tolist())) == 10
    assert max(EQUAL[rows].bincount().tolist()) == 3


def test_within_cluster_takes_whole_batches_of_one_cluster_each_once():
    clusters = torch.tensor([0] * 5 + [1] * 9 + [2])
    order = WithinCluster(clusters)
    epoch = [order(step, 15, 2, 0) for step in range(6)]  # 2 + 4 batches; the cluster of one is skipped
    assert all(len(clusters[rows].unique()) == 1 for rows in epoch)
    rows = torch.cat(epoch).tolist()
    assert len(rows) == len(set(rows)) == 12
    with pytest.raises(ValueError, match="no cluster fills a batch of 20: the largest holds 9"):
        order(0, 15, 20, 0)


def test_guided_order_of_equal_clusters_is_clean_and_complete():
    order = guided_order(EQUAL)
    assert sorted(order.tolist()) == list(range(12))
    assert all(sorted(EQUAL[part].tolist()) == [0, 1, 2, 3] for part in order.split(4))


def test_guided_order_of_unequal_clusters_is_clean_while_none_is_exhausted():
    clusters = torch.tensor([0, 0, 0, 1, 1, 1, 2])
    first, second, last = (clusters[part].tolist() for part in guided_order(clusters).split(3))
    assert sorted(first) == [0, 1, 2] and sorted(second) == [0, 0, 1] and last == [1]
    assert Guided(clusters)(2, 7, 3, 0).tolist() == Guided(clusters)(0, 7, 3, 9).tolist() == [0, 3, 6]


@pytest.mark.parametrize("kind", [OnePerCluster, WithinCluster, Guided])
def test_training_takes_it_and_a_checkpoint_knows_it(kind, stickers, tmp_path):
    clusters = torch.arange(len(stickers)) % 4
    make = lambda: methods.SimCLR(encoders.conv(4, 2), dim=8)  # noqa: E731
    options = {"steps": 4, "batch_size": 8, "progress": False, "checkpoint": tmp_path / "run.pt"}
    run = train.fit(make(), stickers, batches=kind(clusters), **options)
    assert run.done and kind.__name__ in run.plan["batches"]
    with pytest.raises(Exception, match="batches"):
        train.fit(make(), stickers, batches=kind(clusters.flip(0)), **options)
    with pytest.raises(ValueError, match="one per picture"):
        train.fit(make(), stickers[:50], batches=kind(clusters), steps=2, batch_size=8, progress=False)
