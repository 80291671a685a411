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
        ({"size": 0}, "size must be"),
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
