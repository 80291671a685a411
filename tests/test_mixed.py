"""Mixed Barlow Twins as a method: what is mixed with what, and that the loss is told the same."""

import pytest
import torch

from sslwork import encoders, losses, train
from sslwork.methods import Batch, MixedBarlowTwins
from sslwork.seeds import generator


def make(**options):
    return MixedBarlowTwins(encoders.conv(4, 2), dim=8, **options)


@pytest.fixture
def batch(stickers):
    views = tuple(stickers[rows].images.float() / 255 for rows in (range(12), range(12, 24)))
    return Batch(views, torch.arange(12), stickers.images, 0.0, generator(3))


def test_pixels_are_mixed_with_the_second_view_of_the_partner(batch):
    """The third embedding is that of mix * view 1 + (1 - mix) * view 2, permuted, and the loss gets both numbers."""
    method = make().eval()
    z1, z2, z_mixed, permutation, mix = method.outputs(batch)
    first, second = batch.views
    assert torch.equal(permutation.sort().values, torch.arange(12))
    assert mix.shape == (12,) and len(mix.unique()) == 1 and 0 < mix[0] < 1
    share = float(mix[0])
    rows = [share * first[i] + (1 - share) * second[int(permutation[i])] for i in range(12)]
    torch.testing.assert_close(z_mixed, method(torch.stack(rows)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close((z1, z2), (method(first), method(second)))
    expected = losses.mixed_barlow_twins(
        z1, z2, z_mixed, mix=share, permutation=permutation, off_diagonal=1.0, regularisation=4.0
    )
    torch.testing.assert_close(method.loss(z1, z2, z_mixed, permutation, mix), expected)


def test_every_step_draws_anew_and_every_seed_the_same(batch):
    first, second = (make().outputs(batch)[3:] for _ in range(2))
    assert not torch.equal(first[0], second[0]) and first[1][0] != second[1][0]
    again = Batch(batch.views, batch.rows, batch.images, 0.0, generator(3))
    assert all(torch.equal(a, b) for a, b in zip(make().outputs(again)[3:], first, strict=True))


def test_views_are_left_alone(batch):
    before = [view.clone() for view in batch.views]
    make().outputs(batch)
    assert all(torch.equal(a, b) for a, b in zip(batch.views, before, strict=True))


def test_batch_norm_meets_the_mixed_pictures_apart(batch):
    """Three passes, not one of three times the rows: normalised, the rows of each pass have mean 0 by themselves."""
    method, seen = make().train(), []
    method.head[1].register_forward_hook(lambda norm, rows, out: seen.append(out.mean(0)))
    method.outputs(batch)
    assert len(seen) == 3
    torch.testing.assert_close(torch.stack(seen), torch.zeros(3, 8), rtol=0, atol=1e-5)


def test_it_does_not_collapse_and_the_regulariser_has_a_gradient(stickers):
    curves = [
        train.fit(make(regularisation=weight), stickers, steps=8, batch_size=32, progress=False).losses
        for weight in (0.0, 4.0)
    ]
    assert curves[0][0] < curves[1][0]
    without, with_it = (make(regularisation=weight) for weight in (0.0, 4.0))
    rows = [z.requires_grad_() for z in torch.randn(3, 6, 8, generator=generator(0), dtype=torch.double)]
    extra = torch.arange(6).roll(1), torch.full((6,), 0.3)
    for method, moved in ((without, False), (with_it, True)):
        (grad,) = torch.autograd.grad(method.loss(*rows, *extra), rows[2])
        assert grad.any() == moved
