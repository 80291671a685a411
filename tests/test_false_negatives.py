"""False negatives and their bound; the guided order against them; the auto-encoder whose code is clustered."""

import itertools

import pytest
import torch

from sslwork import autoencoder, embed
from sslwork.autoencoder import DenoisingAutoencoder
from sslwork.batches import OnePerCluster, guided_order
from sslwork.measures.false_negatives import expected_rate, false_negative_bound, false_negative_rate
from sslwork.methods import Batch
from sslwork.schedule import batch_rows
from sslwork.seeds import generator

CLASSES = 10
LABELS = torch.arange(2000) % CLASSES


def rate_of(order, labels, batch_size, steps=300):
    rows = torch.stack([order(step, len(labels), batch_size, 0) for step in range(steps)])
    return false_negative_rate(labels[rows])


def test_rate_is_the_share_of_ordered_pairs():
    labels = torch.randint(4, (5, 9), generator=generator(0))
    loop = [a == b for row in labels.tolist() for a, b in itertools.permutations(row, 2)]
    assert false_negative_rate(labels) == pytest.approx(sum(loop) / len(loop))
    assert false_negative_rate(torch.zeros(5, dtype=torch.long)) == 1


def test_bound_is_the_least_of_all_batches():
    for size, classes in ((2, 3), (4, 2), (5, 3), (6, 3)):
        every = itertools.product(range(classes), repeat=size)
        least = min(false_negative_rate(torch.tensor(batch)) for batch in every)
        assert false_negative_bound(size, classes) == pytest.approx(least)
    assert false_negative_bound(60, 10) == pytest.approx((60 / 10 - 1) / (60 - 1))  # where C divides B
    assert false_negative_bound(64, 10) >= (64 / 10 - 1) / (64 - 1)
    assert false_negative_bound(10, 172) == 0


def test_random_batches_one_cluster_and_random_clusters_are_alike():
    expected = (len(LABELS) / CLASSES - 1) / (len(LABELS) - 1)
    noise = torch.randint(8, LABELS.shape, generator=generator(1))
    for order in (batch_rows, OnePerCluster(LABELS * 0), OnePerCluster(noise)):
        assert rate_of(order, LABELS, 8) == pytest.approx(expected, abs=0.01)


def test_classes_as_clusters_reach_the_bound():
    assert rate_of(OnePerCluster(LABELS), LABELS, 10) == 0
    assert rate_of(OnePerCluster(LABELS), LABELS, 64) == pytest.approx(false_negative_bound(64, 10))
    assert false_negative_rate(LABELS[guided_order(LABELS)].view(-1, 10)) == 0


@pytest.mark.parametrize("purity", [0.0, 0.5, 0.8, 1.0])
@pytest.mark.parametrize(("size", "classes"), [(10, 10), (32, 10)])
def test_expected_rate_is_what_sampling_gives(purity, size, classes):
    draw = generator(2)
    labels = torch.randint(classes, (20_000,), generator=draw)
    # A cluster for each place of the batch, of class (cluster mod C) where the class has a say.
    own = torch.arange(size)[None].expand(classes, -1) % classes == torch.arange(classes)[:, None]
    mine = torch.multinomial(own[labels].double(), 1, generator=draw).squeeze(1)
    stray = torch.rand(len(labels), generator=draw) >= purity
    clusters = torch.where(stray, torch.randint(size, labels.shape, generator=draw), mine)
    found = rate_of(OnePerCluster(clusters), labels, size)
    # With 32 clusters of 10 classes some classes have four and some three, so that theirs are not all of one size.
    assert found == pytest.approx(expected_rate(size, classes, purity), abs=0.006)
    assert found >= false_negative_bound(size, classes) - 1e-12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: false_negative_rate(torch.zeros(1, dtype=torch.long)), "B >= 2"),
        (lambda: false_negative_rate(torch.zeros(4)), "whole numbers"),
        (lambda: false_negative_bound(1, 10), "2 pictures and 1 class"),
        (lambda: false_negative_bound(8, 0), "2 pictures and 1 class"),
        (lambda: expected_rate(8, 10, 1.1), "purity must lie in 0..1"),
        (lambda: DenoisingAutoencoder()(torch.rand(2, 3, 12, 12, generator=generator(0))), "multiples of 8"),
    ],
)  # fmt: skip
def test_bad_input(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_autoencoder_restores_and_its_code_is_the_mean_of_the_smallest_map(stickers):
    model = autoencoder.fit(stickers, steps=1, batch_size=16)
    clean, noisy = stickers.images[:4].float() / 255, torch.rand(4, 3, 16, 16, generator=generator(0))
    restored, wanted = model.outputs(Batch((noisy,), torch.arange(4), stickers.images, 0.0, generator(0)))
    assert torch.equal(wanted, clean.flatten(1)) and restored.shape == wanted.shape
    assert restored.min() >= 0 and restored.max() <= 1
    assert torch.allclose(model.loss(restored, wanted), (restored - wanted).square().mean())
    code = embed(model.encoder, stickers)
    assert code.shape == (len(stickers), 128)
    maps = model.eval().encoder.net[:-2](clean)  # embed took it in evaluation mode
    assert maps.shape == (4, 128, 2, 2) and torch.allclose(code[:4], maps.mean((2, 3)), atol=1e-5)


def test_autoencoder_learns_and_keeps_to_its_seed(stickers):
    def error(model):
        clean = stickers.images.float() / 255
        return float((model.eval()(clean) - clean).square().mean().detach())

    long, again = (autoencoder.fit(stickers, steps=20, batch_size=16, seed=4) for _ in range(2))
    assert error(long) < 0.5 * error(autoencoder.fit(stickers, steps=1, batch_size=16, seed=4))
    assert all(torch.equal(a, b) for a, b in zip(long.parameters(), again.parameters(), strict=True))
