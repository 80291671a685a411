"""The zoo: each kind trains, is kept under what made it, and says what it cannot use."""

import math

import pytest
import torch

from sslwork import embed, encoders, pretexts, train, zoo
from sslwork.data import PictureSet
from sslwork.methods import Batch
from sslwork.seeds import generator
from sslwork.views import Views

SMALL = {"width": 4, "depth": 2, "steps": 6, "progress": False}
TRAINED = [kind for kind in zoo.KINDS if kind != "random"]


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def weights(net):
    return torch.cat([value.flatten().float() for value in net.state_dict().values()])


def seen(pictures, rows=slice(6), seed=0):
    """A step's batch of these rows, as they are."""
    row = torch.arange(len(pictures))[rows]
    return Batch((pictures.images[row].float() / 255,), row, pictures.images, 0.0, generator(seed))


@pytest.mark.parametrize("kind", TRAINED)
def test_trained_once_then_kept(kind, stickers, empty_cache):
    first, other = (zoo.encoder(kind, stickers, seed=seed, **SMALL) for seed in (0, 1))
    files = {path: path.stat().st_mtime_ns for path in empty_cache.rglob("*.pt")}
    again = zoo.encoder(kind, stickers, **SMALL)
    assert torch.equal(weights(first), weights(again)) and not again.training
    assert {path: path.stat().st_mtime_ns for path in empty_cache.rglob("*.pt")} == files and len(files) == 2
    for different in (other, zoo.encoder("random", stickers, width=4, depth=2)):
        assert not torch.equal(weights(first), weights(different))
    assert embed(again, stickers).shape == (len(stickers), again.out_features)


def test_kept_under_all_that_made_it(stickers):
    """Other pictures, other labels or other settings are other weights."""
    relabelled = PictureSet(stickers.images, stickers.labels.flip(0))
    made = [
        zoo.encoder("supervised", pictures, **SMALL | changed)
        for pictures, changed in (
            (stickers, {}), (stickers[:48], {}), (relabelled, {}), (stickers, {"steps": 7}),
            (stickers, {"views": zoo.VIEWS["masked"]}),
        )
    ]  # fmt: skip
    assert len({tuple(weights(net).tolist()) for net in made}) == len(made)


def test_a_damaged_file_is_made_anew(stickers, empty_cache):
    first = zoo.encoder("rotation", stickers, **SMALL)
    (kept,) = empty_cache.rglob("*.pt")
    kept.write_bytes(b"nothing of use")
    assert torch.equal(weights(first), weights(zoo.encoder("rotation", stickers, **SMALL)))


FEW = {"width": 2, "blocks": 2, "steps": 4, "progress": False}


@pytest.mark.parametrize("kind", zoo.CLASSIFIERS)
def test_classifiers_are_trained_once_then_kept(kind, stickers, empty_cache):
    first = zoo.classifier(kind, stickers, **FEW)
    (kept,) = empty_cache.rglob("*.pt")
    again, other = zoo.classifier(kind, stickers, **FEW), zoo.classifier(kind, stickers, seed=1, **FEW)
    assert torch.equal(weights(first), weights(again)) and not again.training
    assert not torch.equal(weights(first), weights(other)) and len(list(empty_cache.rglob("*.pt"))) == 2
    assert again(torch.zeros(1, 3, 16, 16)).shape == (1, len(stickers.names)) and kept.name.startswith(kind)


def test_classifiers_are_kept_under_all_that_made_them(stickers):
    """The radius matters to those that are attacked in training, the price to TRADES; grey pictures have one channel."""
    few = stickers[:32]
    made = [
        zoo.classifier(kind, few, **FEW | changed)
        for kind, changed in (
            ("standard", {}), ("robust", {}), ("trades", {}), ("robust", {"eps": 0.1}), ("trades", {"eps": 0.1}),
            ("trades", {"beta": 1.0}), ("standard", {"steps": 5}),
        )
    ]  # fmt: skip
    assert len({tuple(weights(net).tolist()) for net in made}) == len(made)
    same = [zoo.classifier("standard", few, eps=eps, **FEW) for eps in (0.2, 0.3)]
    assert torch.equal(weights(same[0]), weights(same[1]))
    grey = PictureSet(few.images[:, :1], few.labels)
    assert zoo.classifier("standard", grey, **FEW)(torch.zeros(1, 1, 16, 16)).shape == (
        1,
        int(few.labels.max()) + 1,
    )
    with pytest.raises(ValueError, match="kind must be one of standard, robust, trades"):
        zoo.classifier("certified", few)
    with pytest.raises(ValueError, match="labels is None"):
        zoo.classifier("robust", PictureSet(few.images))


@pytest.mark.parametrize("kind", TRAINED)
def test_each_learns_its_task(kind, stickers):
    """The loss falls on pictures that are always the same."""
    method = zoo._method(kind, encoders.conv(8, 2), stickers, 2, 0)
    losses = train.fit(method, stickers, views=Views() * 0, steps=60, batch_size=64, progress=False).losses
    assert sum(losses[-10:]) < sum(losses[:10])


def test_supervised_by_its_formula(stickers):
    method = pretexts.Supervised(encoders.conv(4, 2), stickers.labels).eval()
    logits, classes = method.outputs(seen(stickers, slice(3, 9)))
    expected = 0.0
    for said, c in zip(logits.tolist(), stickers.labels[3:9].tolist(), strict=True):
        expected += math.log(sum(math.exp(each) for each in said)) - said[c]
    assert float(method.loss(logits, classes).detach()) == pytest.approx(expected / 6, rel=1e-5)


def test_rotation_names_each_turn(stickers):
    """Row (i, r) is what is said of picture i turned r times; all four turns count alike."""
    method = pretexts.Rotation(encoders.conv(4, 2)).eval()
    batch = seen(stickers)
    (logits,) = method.outputs(batch)
    for turn in range(4):
        alone = method(batch.views[0].rot90(turn, (2, 3)))
        torch.testing.assert_close(logits[:, turn], alone, rtol=1e-4, atol=1e-5)
    sure = 50.0 * torch.eye(4).expand(6, 4, 4)
    assert float(method.loss(sure)) == pytest.approx(0, abs=1e-6)
    assert float(method.loss(torch.zeros(6, 4, 4))) == pytest.approx(math.log(4))


def test_masked_counts_hidden_pixels_alone(stickers):
    method = pretexts.Masked(encoders.conv(4, 2), pixels=4, patch=4, hidden=0.5).eval()
    guessed, true, mask = method.outputs(seen(stickers))
    assert guessed.shape == true.shape == mask.shape and set(mask.unique().tolist()) == {0.0, 1.0}
    squares = mask.view(6, 3, 4, 4, 4, 4)  # whole patches, in all colours
    assert torch.equal(squares, squares[:, :1, :, :1, :, :1].expand_as(squares))
    hidden = mask.bool()
    expected = sum(abs(a - b) for a, b in zip(guessed[hidden].tolist(), true[hidden].tolist(), strict=True))
    assert float(method.loss(guessed, true, mask).detach()) == pytest.approx(
        expected / int(hidden.sum()), rel=1e-5
    )
    elsewhere = torch.where(hidden, guessed, guessed + 1)
    assert torch.equal(method.loss(elsewhere, true, mask), method.loss(guessed, true, mask))


def test_masked_does_not_see_what_it_guesses(stickers):
    """Other pixels under the mask change nothing in the guess."""
    method = pretexts.Masked(encoders.conv(4, 2), pixels=4, patch=4).eval()
    batch = seen(stickers)
    guessed, true, mask = method.outputs(batch)
    painted = Batch(((true + mask * (0.3 - true)).view_as(batch.views[0]),), batch.rows, batch.images, 0.0, generator(0))  # fmt: skip
    torch.testing.assert_close(method.outputs(painted)[0], guessed)


def test_odd_sides(stickers):
    pictures = PictureSet(stickers.images[..., :13, :13])
    assert zoo.encoder("masked", pictures, **SMALL).out_features == 8


def test_bad_input(stickers):
    bare = PictureSet(stickers.images)
    with pytest.raises(ValueError, match="kind must be one of supervised, simclr"):
        zoo.encoder("dino", stickers)
    with pytest.raises(ValueError, match="labels is None"):
        zoo.encoder("supervised", bare)
    with pytest.raises(ValueError, match="one entry per picture"):
        train.fit(
            pretexts.Supervised(encoders.conv(4, 2), stickers.labels), stickers[:9], steps=1, progress=False
        )
    with pytest.raises(ValueError, match="square"):
        zoo.encoder("rotation", PictureSet(stickers.images[..., :12]), **SMALL)
    with pytest.raises(ValueError, match="hidden must lie in"):
        pretexts.Masked(encoders.conv(4, 2), hidden=1.0)
    with pytest.raises(ValueError, match="encoder must end in a pooling"):
        pretexts.Masked(encoders.Encoder(torch.nn.ReLU(), 3))
