"""The sets that experiments are made of: what is drawn comes from its seed, and what is known of it is true."""

import pytest
import torch

from sslwork import data

# Digits thrown about


def test_affine_digits_are_what_they_say():
    pictures = data.load("affine-digits", count=300)
    assert pictures.images.shape == (300, 1, 16, 16) and pictures.images.dtype == torch.uint8
    assert set(pictures.labels.tolist()) == set(range(10))
    assert (pictures.images.amax((1, 2, 3)) > 60).all(), "no digit is lost"
    assert "turned" in pictures.about and "LeCun" in pictures.about


def test_affine_digits_come_from_their_seed_and_keep_their_order():
    many, few = (data.load("affine-digits", count=count) for count in (600, 300))
    assert torch.equal(many.images[:300], few.images) and torch.equal(many.labels[:300], few.labels)
    assert not torch.equal(data.load("affine-digits", count=300, seed=1).images, few.images)
    assert not torch.equal(data.load("affine-digits", split="test", count=300).images, few.images)


def test_affine_digits_without_strength_are_mnist_made_small():
    still = data.load("affine-digits", split="test", count=200, size=14, turn=0, scale=(1, 1), shift=0)
    whole = data.load("mnist", split="test")
    small = torch.nn.functional.avg_pool2d(whole.images.float(), 2).flatten(1)
    far, row = torch.cdist(still.images.float().flatten(1), small, p=torch.inf).min(1)
    assert far.max() <= 1 and len(row.unique()) == 200, "each is another picture, up to rounding"
    assert torch.equal(whole.labels[row], still.labels)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"count": 0}, r"count must lie in 1\.\.10000.*got 0"),
        ({"count": 10_001}, r"count must lie in 1\.\.10000"),
        ({"size": 0}, r"size must be .* above 0, got 0"),
        ({"turn": 181}, "turn=181"),
        ({"scale": (1.0, 0.5)}, "the smaller first"),
        ({"scale": (0.0, 0.5)}, "above 0"),
        ({"shift": float("nan")}, "shift=nan"),
        ({"split": "valid"}, "split must be"),
    ],
)
def test_bad_affine_digits(options, says):
    with pytest.raises(ValueError, match=says):
        data.load("affine-digits", **{"split": "test"} | options)


# Scenes


def test_scenes_are_what_they_say():
    pictures, factors = data.scenes(count=1200)
    assert pictures.images.shape == (1200, 3, 16, 16) and torch.equal(pictures.labels, factors["digit"])
    for name, values in (("digit", 10), ("colour", 6), ("texture", 6)):
        share = factors[name].bincount(minlength=values) / 1200
        assert (share - 1 / values).abs().max() < 0.05, f"{name} is drawn about evenly"
    together = torch.stack(list(factors.values())).double().corrcoef().fill_diagonal_(0)
    assert together.abs().max() < 0.1, "and by itself"


def test_scenes_without_digits_are_the_same_backgrounds():
    (scene, factors), (ground, same) = (data.scenes(count=200, digits=digits) for digits in (True, False))
    assert all(torch.equal(factors[name], same[name]) for name in factors)
    still = (scene.images == ground.images).all(1).float().mean((1, 2))
    assert (still > 0.3).all() and (still < 1).all(), "only the strokes differ"
    assert (ground.images.amax(1) == ground.images.amin(1)).all(), "and they alone have colour"


def test_ink_and_grating_are_the_factors():
    """Of the strongest pixel the ink alone is left; and each grating is constant along its own lines."""
    pictures, factors = data.scenes(count=300)
    stroke = data.load("affine-digits", count=300, turn=0, scale=(1, 1), shift=0).images
    row, place = torch.arange(300), stroke.flatten(1).argmax(1)
    colour = pictures.images.flatten(2)[row, :, place] > 160
    pure = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]]).bool()
    full = stroke.flatten(1).amax(1) > 240
    assert full.sum() > 200 and torch.equal(colour[full], pure[factors["colour"]][full])
    grounds, factors = data.scenes(count=300, digits=False)
    across, down = (grounds.images.float().diff(dim=dim).abs().amax((1, 2, 3)) for dim in (-1, -2))
    assert (down[factors["texture"] == 0] == 0).all() and (across[factors["texture"] == 3] <= 1).all()
    assert (across[factors["texture"] == 0] > 20).all() and (down[factors["texture"] == 3] > 20).all()


def test_scenes_turned_down_lose_their_factor():
    white = data.scenes(count=50, ink=0, digits=True)[0].images
    assert (white.amax(1) == white.amin(1)).all()
    even = data.scenes(count=50, grating=0, digits=False)[0].images
    assert (even == even[0, 0, 0, 0]).all()
    with pytest.raises(ValueError, match=r"grating must lie in 0\.\.1, got 1\.5"):
        data.scenes(grating=1.5)


def test_scenes_come_from_their_seed_and_keep_their_order():
    (many, factors), (few, head) = (data.scenes(count=count) for count in (300, 100))
    assert torch.equal(many.images[:100], few.images)
    assert all(torch.equal(factors[name][:100], head[name]) for name in factors)
    for other in ({"seed": 1}, {"split": "test"}):
        assert not torch.equal(data.scenes(count=100, **other)[0].images, few.images)


# Parts


@pytest.fixture(scope="module")
def many():
    return data.load("affine-digits", count=3000, size=4)


def test_long_tail_falls_exponentially(many):
    tail = data.long_tail(many, largest=200, smallest=4)
    counts = tail.labels.bincount()
    expected = [round(200 * 50 ** (-k / 9)) for k in range(10)]
    assert sorted(counts.tolist(), reverse=True) == expected
    assert str(counts.tolist()) in tail.about
    assert data.long_tail(many, largest=200, smallest=4).fingerprint() == tail.fingerprint()
    others = [
        data.long_tail(many, largest=200, smallest=4, seed=seed).labels.bincount() for seed in (1, 2, 3)
    ]
    assert any(other.argmax() != counts.argmax() for other in others), "any class may be the largest"


def test_long_tail_of_equal_sizes_is_balanced(many):
    assert data.long_tail(many, largest=7, smallest=7).labels.bincount().tolist() == [7] * 10


def test_per_class_is_exact_and_nested(stickers, many):
    few, more = (data.per_class(many, count) for count in (1, 10))
    assert few.labels.bincount().tolist() == [1] * 10 and more.labels.bincount().tolist() == [10] * 10
    assert {row.sum().item() for row in few.images} <= {row.sum().item() for row in more.images}
    assert len(data.per_class(stickers, 2)) == len(stickers) and data.per_class(stickers, 2).groups


def test_parts_refuse_what_they_cannot_give(stickers, many):
    with pytest.raises(ValueError, match="class 'fox' has 2 pictures, 3 are wanted"):
        data.per_class(stickers, 3)
    with pytest.raises(ValueError, match="labels is None"):
        data.per_class(data.PictureSet(many.images), 3)
    with pytest.raises(ValueError, match="at least 1"):
        data.per_class(many, 0)
    with pytest.raises(ValueError, match="smallest=5, largest=4"):
        data.long_tail(many, largest=4, smallest=5)


# Glyphs


@pytest.mark.parametrize("size", [16, 32])
def test_glyphs_are_every_character_in_every_style(size):
    train, test = (data.load("glyphs", split=split, size=size) for split in ("train", "test"))
    classes = len(train.names)
    assert train.images.shape == (9 * classes, 1, size, size) and len(test) == 3 * classes
    assert (train.labels.bincount() == 9).all() and (test.labels.bincount() == 3).all()
    assert train.names == test.names and "Georgian" in train.groups and "DejaVu" in train.about
    assert not {name.split()[1] for name in train.ids} & {name.split()[1] for name in test.ids}
    assert (train.images.amax((1, 2, 3)) > 120).all(), "none is blank"


def test_every_glyph_has_a_shape_of_its_own():
    """In most styles; and none is the box which stands for a missing character."""
    sets = [data.load("glyphs", split=split, size=64) for split in ("train", "test")]
    names = sets[0].names
    styles = torch.cat([each.images.view(-1, len(names), 64 * 64) for each in sets]).float()  # (12, C, 4096)
    same = sum((torch.cdist(style, style, p=1) == 0).int() for style in styles).fill_diagonal_(0)
    i, j = divmod(int(same.argmax()), len(names))
    assert same.max() < 6, f"{names[i]} and {names[j]} look alike"


def test_bad_glyphs():
    with pytest.raises(ValueError, match="split must be"):
        data.load("glyphs", split="bold")
    with pytest.raises(ValueError, match=r"size must be .* above 0, got 0"):
        data.load("glyphs", size=0)


# Reaches


def test_reaches_are_what_they_say():
    recorded = data.reaches()
    assert recorded.spikes.shape == (200, 20, 120) and recorded.direction.bincount().tolist() == [25] * 8
    assert recorded.spikes.is_floating_point() and (recorded.spikes == recorded.spikes.round()).all()
    assert len(recorded) == 200 and recorded.spikes.min() == 0


def test_neurons_fire_by_the_cosine_of_the_direction_and_the_speed():
    """Without drift: a Poisson count in every bin, and a log rate that is a cosine, largest in mid-reach."""
    recorded = data.reaches(trials=8000, drift=0.0)
    by = torch.stack(
        [recorded.spikes[recorded.direction == d].mean(0) for d in range(8)]
    ).double()  # (8, 20, 120)
    spread = torch.stack([recorded.spikes[recorded.direction == d].var(0) for d in range(8)]).double()
    assert (spread / by).mean().item() == pytest.approx(1, abs=0.01), (
        "the variance of a Poisson count is its mean"
    )
    waves = (
        torch.fft.rfft(by[:, 8:12].mean(1).log(), dim=0).abs() / 4
    )  # amplitude of each wave over the directions
    assert waves[1].mean().item() == pytest.approx(0.6 * 0.98, abs=0.02) and waves[2:].mean() < 0.03
    tuned = (by[:, :, None].log() - by.log().mean(0)[None, :, None]).square().mean((0, 2, 3))
    assert tuned.argmax() in (9, 10) and tuned[0] < 0.1 * tuned[9] and tuned[19] < 0.1 * tuned[9]


def test_drift_is_one_of_a_trial_and_of_six_dimensions():
    still, moved = (data.reaches(trials=4000, drift=drift) for drift in (0.0, 1.0))

    def shared(recorded):
        """Covariance over trials of two moments of one trial which know nothing of the direction."""
        first, last = (
            recorded.spikes[:, bins].mean(1).add(0.5).log() for bins in (slice(0, 2), slice(18, 20))
        )
        return torch.linalg.svdvals((first - first.mean(0)).T @ (last - last.mean(0)) / len(first))

    assert shared(still)[0] < 0.2 * shared(moved)[5]
    assert shared(moved)[6] < 0.2 * shared(moved)[5], "six dimensions and no more"


def test_reaches_come_from_their_seed():
    train, again = data.reaches(trials=40), data.reaches(trials=40)
    assert torch.equal(train.spikes, again.spikes) and torch.equal(train.direction, again.direction)
    for other in (data.reaches("test", trials=40), data.reaches(trials=40, seed=1)):
        assert not torch.equal(other.spikes, train.spikes)
    rate, other = (
        data.reaches(split, trials=800, drift=0.0).spikes.mean((0, 1)) for split in ("train", "test")
    )
    assert torch.stack([rate, other]).corrcoef()[0, 1] > 0.99, "the neurons are the same ones"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"split": "valid"}, "split must be"),
        ({"trials": 0}, "trials must be .* above 0, got 0"),
        ({"drift": -1.0}, "drift must be .* from 0 on, got -1"),
        ({"drift": float("nan")}, "drift must be"),
    ],
)
def test_bad_reaches(options, says):
    with pytest.raises(ValueError, match=says):
        data.reaches(**options)
