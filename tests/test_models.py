"""Encoders, heads, embeddings of whole sets."""

import pytest
import torch

from sslwork import encoders, heads
from sslwork.embedding import embed

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator())


@pytest.mark.parametrize("make", [encoders.conv, encoders.resnet18])
def test_every_encoder(make):
    encoder = make(seed=1)
    assert encoder(IMAGES).shape == (3, encoder.out_features)
    again, other = make(seed=1), make(seed=2)
    same = [torch.equal(a, b) for a, b in zip(encoder.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert not all(torch.equal(a, b) for a, b in zip(encoder.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("images", "error", "says"),
    [
        (IMAGES[0], ValueError, r"shape \(N, 3, H, W\), got \(3, 32, 32\)"),
        (IMAGES[:, :1], ValueError, "repeat a grey channel"),
        ((IMAGES * 255).byte(), TypeError, r"images\.float\(\) / 255"),
    ],
)
def test_encoder_says_what_it_cannot_take(images, error, says):
    with pytest.raises(error, match=says):
        encoders.conv()(images)


@pytest.mark.parametrize("make", [encoders.conv, lambda: encoders.scattering(4, size=32)])
def test_an_encoder_computes_in_the_type_of_its_weights(make):
    exact = make().double().eval()(IMAGES)
    assert exact.dtype == torch.double
    torch.testing.assert_close(make().eval()(IMAGES.double()).double(), exact, rtol=1e-4, atol=1e-5)


def test_head_shapes():
    assert [type(part).__name__ for part in heads.mlp(4, 8, 2, layers=3)] == [
        "Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear",
    ]  # fmt: skip
    assert [type(part).__name__ for part in heads.mlp(4, 8, 2, layers=1)] == ["Linear"]
    with_bias, without = (heads.mlp(4, 8, 2, bias=bias) for bias in (True, False))
    assert without[-1].bias is None and torch.equal(without[-1].weight, with_bias[-1].weight)
    with pytest.raises(ValueError, match="layers must be at least 1"):
        heads.mlp(4, 8, 2, layers=0)


def test_embed_keeps_order_and_mode(stickers):
    encoder = encoders.conv(4, 2).train()
    encoder.net[1].eval()
    buffers = [buffer.clone() for buffer in encoder.buffers()]
    features = embed(encoder, stickers, batch_size=7)
    assert features.shape == (len(stickers), 8)
    assert torch.allclose(features, embed(encoder, stickers, batch_size=1000), atol=1e-6)
    assert encoder.training and not encoder.net[1].training, "each part is put back as it was"
    assert all(torch.equal(a, b) for a, b in zip(buffers, encoder.buffers(), strict=True)), (
        "batch norm learnt"
    )
    assert not features.requires_grad


def test_embed_takes_any_function(stickers):
    assert torch.equal(embed(lambda images: images.flatten(1), stickers), stickers.raw())


def test_embed_of_nothing(stickers):
    with pytest.raises(ValueError, match="pictures is empty"):
        embed(encoders.conv(4, 2), stickers.images[:0])


@pytest.mark.parametrize(("images", "says"), [(IMAGES * 255, "divide by 255"), (IMAGES * torch.nan, "NaN")])
def test_embed_refuses_pictures_that_are_none(images, says):
    with pytest.raises(ValueError, match=says):
        embed(encoders.conv(4, 2), images)
