"""ScatSimCLR's loss: two losses, their weight, and labels that stay with their turn."""

import math

import pytest
import torch

from sslwork import encoders, losses, train
from sslwork.methods import Batch, ScatSimCLR, SimCLR
from sslwork.seeds import generator
from sslwork.views import Views

SMALL = {"batch_size": 32, "progress": False}


def make(**options):
    return ScatSimCLR(encoders.conv(4, 2), dim=8, **options)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.double)


def test_loss_by_its_formula():
    z1, z2, logits = draw(6, 5), draw(6, 5, seed=1), draw(6, 4, 4, seed=2)
    rotation = 0.0
    for said in logits.tolist():
        for turn in range(4):
            rotation += math.log(sum(math.exp(each) for each in said[turn])) - said[turn][turn]
    expected = float(losses.nt_xent(z1, z2, temperature=0.5)) + 0.3 * rotation / 24
    assert float(make(pretext=0.3).loss(z1, z2, logits)) == pytest.approx(expected, rel=1e-12)


def test_gradients_by_differences():
    method, z = make(), [draw(4, 3, seed=i).requires_grad_() for i in (0, 1)]
    assert torch.autograd.gradcheck(method.loss, (*z, draw(4, 4, 4, seed=2).requires_grad_()))


def test_without_pretext_it_is_simclr(stickers):
    ours, theirs = make(pretext=0, temperature=0.2), SimCLR(encoders.conv(4, 2), dim=8)
    curves = [train.fit(method, stickers, steps=4, **SMALL).losses for method in (ours, theirs)]
    assert curves[0] == curves[1] and ours.state_dict().keys() == theirs.state_dict().keys()


def test_answers_stay_with_their_turn(stickers):
    """Row (i, r) is what the head says of picture i turned r times, whatever else is in the batch."""
    method, images = make(dropout=0.0).eval(), stickers.images[:5].float() / 255
    said = method.named(images, generator(0))
    for i in range(5):
        for turn in range(4):
            alone = method.named(images[i : i + 1].rot90(turn, (2, 3)), generator(0))[0, 0]
            torch.testing.assert_close(said[i, turn], alone, rtol=1e-4, atol=1e-5)


def test_rotations_do_not_mix_into_the_contrast(stickers):
    """The embeddings are those of SimCLR in the same step: their batch norms never see a turned picture."""
    views = tuple(stickers.images[part].float() / 255 for part in (slice(8), slice(8, 16)))
    batch = Batch(views, torch.arange(8), stickers.images, 0.0, generator(0))
    *z, logits = make().outputs(batch)
    torch.testing.assert_close(tuple(z), SimCLR(encoders.conv(4, 2), dim=8).outputs(batch))
    assert logits.shape == (8, 4, 4)


def test_dropout_comes_from_the_run_and_keeps_the_mean():
    method, h = make(), torch.ones(2000, 4, 8)
    first, again, other = (method._dropped(h, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert set(first.unique().tolist()) == {0.0, 2.0} and abs(first.mean() - 1) < 0.02
    assert torch.equal(method.eval()._dropped(h, generator(0)), h)


def test_it_learns_which_way_is_up():
    """Pictures that are bright above and dark below: after a few steps the turn is known better than by chance."""
    images = torch.linspace(1, 0, 16)[:, None].expand(64, 3, 16, 16)
    still = Views(crop=0.1, rotate=0, flip=0)
    method = make(pretext=1.0)
    train.fit(method, images, views=still, steps=60, **SMALL)
    assert float(method.parts[1]) < 0.5 * math.log(4)


@pytest.mark.parametrize(
    ("options", "says"), [({"pretext": -1.0}, "pretext must be"), ({"dropout": 1.0}, "dropout must lie")]
)
def test_bad_settings(options, says):
    with pytest.raises(ValueError, match=says):
        make(**options)


def test_pictures_must_be_square():
    with pytest.raises(ValueError, match=r"must be square.*\(2, 3, 8, 16\)"):
        make().named(torch.zeros(2, 3, 8, 16), generator(0))
