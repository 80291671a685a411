"""Multistage contrastive learning: joint labels are tuples, batches hold one of them, and what is shared in them cancels."""

import pytest
import torch
import torch.nn.functional as F

from sslwork import encoders, losses, methods, multistage, train
from sslwork.batches import WithinCluster
from sslwork.clustering import kmeans
from sslwork.multistage import Stages, joint_labels, side_by_side
from sslwork.seeds import generator
from sslwork.toys.suppression import pulls, two_features

OPTIONS = {"steps": 2, "batch_size": 8, "progress": False}


def fresh(stage):
    return methods.SimCLR(encoders.conv(4, 2, seed=stage), dim=8, seed=stage)


def same(a, b):
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def test_joint_labels_are_tuples_and_refine():
    draw, k = generator(0), 3
    stages = [torch.randint(k, (200,), generator=draw) for _ in range(3)]
    cells = torch.zeros(200, dtype=torch.long)
    for t, labels in enumerate(stages):
        finer = joint_labels(cells, labels, k)
        tuples = list(zip(*(found.tolist() for found in stages[: t + 1]), strict=True))
        assert (
            len(set(zip(finer.tolist(), tuples, strict=True)))
            == len(set(tuples))
            == len(finer.unique())
            <= k ** (t + 1)
        )
        members = lambda y: [set((y == c).nonzero().flatten().tolist()) for c in y.unique()]  # noqa: E731
        assert all(any(cell <= old for old in members(cells)) for cell in members(finer))
        cells = finer
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.2 for k = 3, got 3"):
        joint_labels(cells, cells * 0 + 3, 3)


def test_side_by_side_averages_cosines():
    draw = generator(1)
    rows = [
        scale * torch.randn(5, d, generator=draw, dtype=torch.double)
        for scale, d in ((1, 4), (100, 7), (0.01, 3))
    ]
    joined = side_by_side(rows)
    assert torch.allclose(joined.norm(dim=1), torch.full((5,), 3**0.5, dtype=torch.double))
    mean = sum(F.cosine_similarity(y[:, None], y[None], dim=-1) for y in rows) / 3
    assert torch.allclose(F.cosine_similarity(joined[:, None], joined[None], dim=-1), mean)
    assert torch.autograd.gradcheck(lambda *y: side_by_side(y), [y.requires_grad_() for y in rows])


def test_one_stage_is_ordinary_training_bit_for_bit(stickers):
    found = multistage.fit(fresh, stickers, stages=1, seed=3, **OPTIONS)
    assert same(found.encoders[0], train.fit(fresh(0), stickers, seed=3, **OPTIONS).method.encoder)


def test_one_cluster_leaves_everybody_in_every_stage(stickers):
    found = multistage.fit(fresh, stickers, stages=2, k=1, **OPTIONS)
    assert all(not cells.any() for cells in found.cells)
    order = WithinCluster(found.cells[1])
    epoch = torch.cat([order(step, len(stickers), 8, 0) for step in range(len(stickers) // 8)])
    assert sorted(epoch.tolist()) == list(range(len(stickers)))


def test_stages_refine_each_other_and_batches_are_of_one_cell_of_every_stage(stickers):
    found = multistage.fit(fresh, stickers, stages=3, k=2, **OPTIONS)
    assert (
        len(found.encoders) == 3
        and [len(cells.unique()) <= 2**t for t, cells in enumerate(found.cells)] == [True] * 4
    )
    for step in range(5):
        rows = WithinCluster(found.cells[2])(step, len(stickers), 8, 0)
        assert all(len(cells[rows].unique()) == 1 for cells in found.cells[:3])
    assert not same(found.encoders[0], found.encoders[1])
    images = torch.rand(3, 3, 16, 16, generator=generator(0))
    assert torch.allclose(found.eval()(images).norm(dim=1), torch.tensor(3**0.5))


def test_a_batch_of_one_cell_is_the_full_loss_without_the_other_cells():
    draw = generator(2)
    z1, z2 = torch.randn(2, 12, 5, generator=draw, dtype=torch.double)
    cells = torch.arange(12) % 3
    for cell in range(3):
        own = cells == cell
        u, where = F.normalize(torch.cat([z1, z2]), dim=1), torch.cat([cells, cells])
        logits = (u @ u.T / 0.1).masked_fill(torch.eye(24, dtype=torch.bool), -torch.inf)
        logits = logits.masked_fill(where[:, None] != where, -torch.inf)
        partner = torch.arange(24).roll(12)
        rows = (logits.logsumexp(1) - logits[torch.arange(24), partner])[where == cell]
        assert torch.allclose(losses.nt_xent(z1[own], z2[own], temperature=0.1), rows.mean())


def test_what_all_pairs_share_cancels():
    """The shift invariance: add one number to every similarity of a row, positive and negatives, and nothing moves."""
    second = two_features(9, seed=3)[1:]
    shared = torch.full_like(second, 0.7)
    weights = torch.tensor([3.0, 2.0], dtype=torch.double)
    both = pulls(torch.cat([shared, second]), weights)
    assert torch.allclose(
        both, torch.stack([torch.zeros(()).double(), *pulls(second, weights[1:])]), atol=1e-12
    )
    z1, z2 = torch.randn(2, 9, 4, generator=generator(4), dtype=torch.double)
    unit = lambda z: F.normalize(z, dim=1)  # noqa: E731
    more = [torch.cat([unit(z), torch.ones(9, 1).double()], dim=1) for z in (z1, z2)]  # cosines (1 + s) / 2
    assert torch.allclose(losses.nt_xent(*more, temperature=0.1), losses.nt_xent(z1, z2, temperature=0.2))


def test_pulls_are_the_downhill_gradient():
    similarities = two_features(7, kinds=(5, 3), seed=1)
    weights = torch.tensor([4.0, 1.5], dtype=torch.double, requires_grad=True)
    loss = 0.0
    for i in range(14):
        logits = weights @ similarities[:, i]
        loss += (logits[torch.arange(14) != i].logsumexp(0) - logits[(i + 7) % 14]) / 14
    loss.backward()
    assert torch.allclose(pulls(similarities, weights.detach()), -weights.grad)


def test_an_easy_feature_learnt_silences_the_other_unless_the_batch_is_one_cell():
    mixed, cell = (two_features(one_cell=one) for one in (False, True))
    none, much = torch.tensor([[0.0, 0.0], [20.0, 0.0]], dtype=torch.double)
    assert mixed.shape == (2, 256, 256) and torch.allclose(mixed, mixed.mT)
    assert pulls(mixed, much)[1] < 0.75 * pulls(mixed, none)[1]
    assert pulls(cell, none)[1] > 0.9 * pulls(mixed, none)[1]
    assert pulls(cell, none)[0] < 0.05 * pulls(mixed, none)[0]
    with pytest.raises(ValueError, match=r"shape \(2, 2N, 2N\)"):
        pulls(mixed[:1], none)


def test_bad_input(stickers):
    with pytest.raises(ValueError, match="stages must be at least 1, got 0"):
        multistage.fit(fresh, stickers, stages=0)
    with pytest.raises(ValueError, match="no cluster fills a batch of 90"):
        multistage.fit(fresh, stickers, stages=2, k=5, steps=1, batch_size=90, progress=False)
    with pytest.raises(ValueError, match=r"k must lie in 1\.\.4"):
        kmeans(torch.zeros(4, 2), 5)
    with pytest.raises(ValueError, match="NaN"):
        side_by_side([torch.full((2, 2), torch.nan)])


def test_kmeans_finds_clusters_and_keeps_to_its_seed():
    rows = torch.randn(90, 3, generator=generator(0)) + 20 * (torch.arange(90) % 3)[:, None]
    found = kmeans(rows, 3, seed=1)
    assert all(len(found[torch.arange(90) % 3 == c].unique()) == 1 for c in range(3))
    assert torch.equal(found, kmeans(rows, 3, seed=1)) and not kmeans(rows, 1).any()


def test_stages_of_other_encoders_are_an_ensemble():
    pair = Stages(encoders.conv(4, 2, seed=seed) for seed in (0, 1))
    assert pair(torch.rand(2, 3, 16, 16, generator=generator(0))).shape == (2, 16) and pair.cells == []
