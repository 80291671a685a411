"""Small generators and the detector: what they make, and what training may look at."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from sslwork import data, forgery, losses, nets
from sslwork.data.pictures import PictureSet


@pytest.fixture(scope="module")
def real():
    letters = data.load("glyphs", size=16)
    return PictureSet(letters.images[::40])


@pytest.mark.parametrize("name", forgery.GENERATORS)
def test_generators_make_pictures_from_a_seed(name, real):
    make = forgery.GENERATORS[name]
    one, two, other = make(real, 5, 3, 0), make(real, 5, 3, 0), make(real, 5, 3, 1)
    assert one.shape == (5, *real.images.shape[1:]) and torch.isfinite(one).all()
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert forgery.as_bytes(one).dtype == torch.uint8


def test_principal_components_draw_what_they_saw(real):
    x = forgery.principal(real, 4000, 0, 0)
    truth = real.images.float().mean((0, 1)) / 255
    assert (x.mean((0, 1)) - truth).abs().mean() < 0.05


def test_principal_components_spread_as_what_they_saw():
    """Far from both ends, where nothing is clipped: the deviation of each pixel, and bytes rounded."""
    x = 0.5 + 0.03 * torch.randn(400, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    made = forgery.principal(PictureSet(forgery.as_bytes(x)), 4000, 0, 1)
    torch.testing.assert_close(made.std(0), x.std(0), rtol=0.08, atol=0)
    assert forgery.as_bytes(torch.tensor([0.6 / 255, 1.2])).tolist() == [1, 255]


def test_supcon_looks_at_the_last_exit_alone():
    rows, made_by = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 3 - 1
    heads = torch.nn.ModuleList([torch.nn.Identity()] * 2)
    found = forgery._loss("supcon", rows, heads, made_by)
    labels = (made_by != forgery.REAL).long()
    torch.testing.assert_close(found, losses.supcon(rows[:, 0], labels, temperature=0.07))


def test_nearest_leaves_a_grid_and_bilinear_does_not():
    """After a decoder of nearest enlargement pairs of pixels share what they were made of."""
    for mode, blocks in (("nearest", True), ("bilinear", False)):
        grow = forgery._decoder((1, 16, 16), 4, mode, 0)[3]
        out = grow(torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0)))
        assert torch.equal(out[..., ::2, ::2], out[..., 1::2, 1::2]) == blocks


def toys():
    """Real: smooth; synthetic: with a grid."""
    draw = torch.Generator().manual_seed(0)
    x = torch.nn.functional.interpolate(
        torch.rand(120, 1, 4, 4, generator=draw), size=(16, 16), mode="bilinear"
    )
    made_by = torch.arange(120) % 3 - 1
    x[made_by == 0, :, ::2] += 0.3
    x[made_by == 1, :, :, ::2] += 0.3
    return PictureSet(forgery.as_bytes(x)), made_by


@pytest.mark.parametrize("loss", ["cross entropy", "supcon", "imaginet"])
def test_a_detector_learns_and_is_reproducible(loss):
    pictures, made_by = toys()

    def trained():
        net = nets.small_conv(4, 3, hidden=32, exits=[1])
        forgery.fit(net, pictures, made_by, loss=loss, steps=120, batch_size=60, lr=3e-3)
        with torch.no_grad():
            return net.features(pictures.images / 255)

    rows = trained()
    assert torch.equal(rows, trained())
    synthetic = made_by != forgery.REAL
    probe = LogisticRegression(C=100).fit(rows, synthetic)
    assert probe.score(rows, synthetic) > 0.9


def test_pictures_are_degraded_before_they_are_seen():
    pictures, made_by = toys()
    seen = []

    def grey(x, draw):
        seen.append(x.shape)
        return x * 0 + 0.5

    net = nets.small_conv(4, 3, hidden=16, exits=[1])
    forgery.fit(net, pictures, made_by, degrade=grey, steps=2, batch_size=20)
    assert seen == [(20, 1, 16, 16)] * 2


def test_bad_input_is_refused():
    pictures, made_by = toys()
    net = nets.small_conv(4, 3, hidden=16)
    with pytest.raises(ValueError, match="loss must be one of"):
        forgery.fit(net, pictures, made_by, loss="hinge")
    with pytest.raises(ValueError, match="made_by"):
        forgery.fit(net, pictures, made_by[:5])
    with pytest.raises(ValueError, match="2 pictures and 1 part"):
        forgery.principal(pictures[:1], 3, 1, 0)
    with pytest.raises(ValueError, match="broken down"):
        forgery.as_bytes(torch.full((1, 1, 2, 2), torch.nan))
