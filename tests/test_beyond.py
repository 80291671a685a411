"""BEYOND: the score against loops, its order statistics, the blind detector, thresholds, and who knows the detector."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import nn

from sslwork import attacks, encoders, heads
from sslwork.detectors.beyond import (
    Frozen,
    adaptive,
    agreement,
    beyond,
    counts,
    relations,
    threshold,
)
from sslwork.seeds import generator, seeded
from sslwork.views import Views

VIEWS = Views(crop=0.4, flip=0, rotate=0, hue=0, grey=0)


def identity(images, _):
    return images


@pytest.fixture
def reader():
    with seeded(1):
        head = nn.Linear(8, 4)
    return Frozen(encoders.conv(4, 2), heads.mlp(8, 8, 6), head)


@pytest.fixture
def images():
    return torch.rand(12, 1, 8, 8, generator=generator(0))


def test_relations_against_a_loop_from_the_formula(reader, images):
    predicted = torch.arange(12) % 4
    s, q = relations(images, predicted, reader, VIEWS, k=3, generator=generator(5))
    draw = generator(5)
    for j in range(3):
        copies = VIEWS(images, draw)
        r, near, z = reader(images)[0].double(), reader(copies)[0].double(), reader(copies)[1].double()
        for i in range(12):
            cos = float(r[i] @ near[i]) / math.sqrt(float(r[i] @ r[i]) * float(near[i] @ near[i]))
            assert s[i, j].item() == pytest.approx(cos, abs=1e-5)
            assert q[i, j].item() == pytest.approx(float(z[i, predicted[i]] / z[i].norm()), abs=1e-5)


def test_hard_agreement_says_whether_the_head_names_the_class(reader, images):
    predicted = reader(images)[1].argmax(1)
    _, q = relations(images, predicted, reader, identity, k=2, hard=True, generator=generator(0))
    assert torch.equal(q, torch.ones(12, 2))
    _, q = relations(images, (predicted + 1) % 4, reader, identity, k=2, hard=True, generator=generator(0))
    assert torch.equal(q, torch.zeros(12, 2))


def test_the_score_is_an_order_statistic_of_its_copies(reader, images):
    s, q = relations(images, torch.zeros(12, dtype=torch.long), reader, VIEWS, k=9, generator=generator(0))
    both = 0.8 * q + 0.2 * s
    scores = [agreement(s, q, rank=rank) for rank in range(1, 10)]
    assert torch.equal(scores[0], both.amax(1)) and torch.equal(scores[-1], both.amin(1))
    assert all((high >= low).all() for high, low in itertools.pairwise(scores))
    order = torch.randperm(9, generator=generator(1))
    assert torch.equal(agreement(s[:, order], q[:, order], rank=4), scores[3])
    assert max(score.abs().max() for score in scores) <= 1 + 1e-6


def test_copies_that_change_nothing_make_the_detector_blind(reader, images):
    blind = beyond(
        images,
        torch.zeros(12, dtype=torch.long),
        reader,
        identity,
        k=4,
        rank=2,
        alpha=0,
        generator=generator(0),
    )
    assert torch.allclose(blind, torch.ones(12), atol=1e-6)
    assert roc_auc_score([0] * 6 + [1] * 6, blind.round(decimals=5)) == 0.5


def test_raw_logits_can_be_scaled_but_not_shifted(reader, images):
    predicted = torch.arange(12) % 4

    def q(change):
        changed = Frozen(reader.backbone, reader.projector, lambda rows: change(reader.head(rows)))
        return relations(images, predicted, changed, VIEWS, k=2, generator=generator(0))[1]

    assert torch.allclose(q(lambda z: 7 * z), q(lambda z: z), atol=1e-6)
    assert not torch.allclose(q(lambda z: z + 7), q(lambda z: z), atol=1e-2)


def test_the_representation_is_read_behind_the_projector(reader, images):
    three = images.expand(-1, 3, -1, -1)
    features = reader.backbone(three)
    assert torch.equal(reader(images)[0], reader.projector(features))
    assert reader(images)[0].shape != features.shape
    assert torch.equal(reader(images)[1], reader.head(features))
    assert not any(module.training for module in reader.modules())


def test_every_picture_gets_copies_of_its_own(reader):
    same = torch.rand(1, 1, 8, 8, generator=generator(3)).expand(5, -1, -1, -1)
    s, _ = relations(same, torch.zeros(5, dtype=torch.long), reader, VIEWS, k=1, generator=generator(0))
    assert len(s.unique()) == 5


def test_clean_against_clean_is_a_coin(reader):
    images = torch.rand(400, 1, 8, 8, generator=generator(2))
    scores = beyond(images, reader(images)[1].argmax(1), reader, VIEWS, k=5, rank=2, generator=generator(0))
    deviation = math.sqrt((400 + 1) / (12 * 200 * 200))  # of the AUC of two samples of 200 of one law
    assert abs(roc_auc_score([0] * 200 + [1] * 200, scores) - 0.5) < 4 * deviation


def test_a_threshold_keeps_its_rate_on_the_other_half():
    scores = torch.randn(4000, 2, generator=generator(0))
    held, other = scores[:2000], scores[2000:]
    for columns in (slice(0, 1), slice(0, 2)):
        least = threshold(held[:, columns], fpr=0.05)
        assert (held[:, columns] < least).any(1).float().mean() <= 0.05
        assert (other[:, columns] < least).any(1).float().mean() == pytest.approx(0.05, abs=0.02)
    assert (held[:, 0] < threshold(held[:, 0])).float().mean() == pytest.approx(0.05, abs=0.001)


def test_the_counts_of_the_paper():
    s, named = torch.tensor([[0.9, 0.4, 0.8]]), torch.tensor([[1.0, 0.0, 0.0]])
    assert counts(s, named, cosine=0.7).tolist() == [[2.0, 1.0]]


def test_the_adaptive_loss_pushes_along_the_sum_of_two_signs(reader, images):
    with seeded(4):
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    target = torch.arange(12) % 4
    at = images.clone().requires_grad_()
    loss = adaptive(model, reader, VIEWS, k=2, generator=generator(6))(at, target)
    (push,) = torch.autograd.grad(loss.sum(), at)

    draw, x = generator(6), images.clone().requires_grad_()
    fool = F.cross_entropy(model(x), target, reduction="none")
    copies = [reader(VIEWS(x, draw)) for _ in range(2)]
    hide = sum(
        F.cross_entropy(z, target, reduction="none") - F.cosine_similarity(reader(x)[0], r) for r, z in copies
    ) / 2  # fmt: skip
    signs = [torch.autograd.grad(part.sum(), x, retain_graph=True)[0].sign() for part in (fool, hide)]
    assert torch.allclose(loss, -(fool + hide), atol=1e-5)
    assert torch.equal(push, -(signs[0] + signs[1]))
    assert signs[1].abs().mean() > 0.9  # the way through the copies is differentiable


def test_who_knows_the_detector_does_better_against_both(reader, images):
    with seeded(4):
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    target = (model(images).argmax(1) + 1) % 4
    plain = attacks.pgd(model, images, target, eps=0.3, n_iter=10, targeted=True)
    knows = attacks.pgd(
        None,
        images,
        target,
        eps=0.3,
        n_iter=10,
        loss=adaptive(model, reader, VIEWS, k=4, generator=generator(0)),
    )
    assert (knows - images).abs().max() <= 0.3 + 1e-6
    gains = [
        adaptive(model, reader, VIEWS, k=8, generator=generator(9))(x, target) for x in (images, plain, knows)
    ]
    assert (gains[2] > gains[0]).all()
    hidden = [
        gain + F.cross_entropy(model(x), target, reduction="none")
        for gain, x in zip(gains, (images, plain, knows), strict=True)
    ]
    assert hidden[2].mean() > hidden[1].mean()


def test_bad_input_is_refused_in_words(reader, images):
    fine = torch.zeros(12, dtype=torch.long)
    with pytest.raises(ValueError, match="k must be at least 1"):
        relations(images, fine, reader, VIEWS, k=0, generator=generator(0))
    with pytest.raises(ValueError, match="the reader's head has 4 classes"):
        relations(images, fine + 4, reader, VIEWS, k=1, generator=generator(0))
    with pytest.raises(ValueError, match="predicted must have one entry per row"):
        relations(images, fine[:3], reader, VIEWS, k=1, generator=generator(0))
    s = torch.rand(3, 4, generator=generator(0))
    with pytest.raises(ValueError, match=r"rank must lie in 1..4"):
        agreement(s, s, rank=5)
    with pytest.raises(ValueError, match="alpha must lie in"):
        agreement(s, s, rank=1, alpha=1.5)
    with pytest.raises(ValueError, match="s holds NaN"):
        agreement(s * torch.nan, s, rank=1)
    with pytest.raises(ValueError, match="fpr must lie"):
        threshold(s[0], fpr=0)
