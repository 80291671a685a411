"""AdvEncoder: its exact properties, and that one perturbation serves all pictures and leaves the encoder alone."""

import math

import pytest
import torch
import torch.nn.functional as F

from sslwork import attacks, encoders, losses
from sslwork.attacks.advencoder import (
    Generator,
    advencoder_loss,
    fooling_rate,
    high_pass,
    info_nce_rows,
    patch_mask,
    perturb,
)
from sslwork.seeds import generator


def noise(*shape):
    return torch.randn(*shape, generator=generator(1), dtype=torch.double)


@pytest.mark.parametrize("radius", [1, 3, 4.5])
def test_the_high_pass_is_an_orthogonal_projection(radius):
    x = noise(2, 3, 8, 8)
    high = high_pass(x, radius)
    torch.testing.assert_close(high_pass(high, radius), high)
    assert abs((high * (x - high)).sum()) < 1e-10
    torch.testing.assert_close(high_pass(3 * x - high, radius), 3 * high - high)  # linear


def test_the_high_pass_at_its_ends_and_against_a_shifted_spectrum():
    x = noise(2, 3, 8, 8)
    torch.testing.assert_close(high_pass(x, 0), x)
    assert high_pass(x, 4 * math.sqrt(2) + 0.01).abs().max() == 0
    shifted = torch.fft.fftshift(torch.fft.fft2(x), dim=(-2, -1))
    for i in range(8):
        for j in range(8):
            if math.hypot(i - 4, j - 4) < 3:
                shifted[..., i, j] = 0
    expected = torch.fft.ifft2(torch.fft.ifftshift(shifted, dim=(-2, -1))).real
    torch.testing.assert_close(high_pass(x, 3), expected)


def test_one_direction_of_info_nce_against_a_loop_and_the_loss_of_both():
    r, c = noise(5, 4), noise(5, 4).flip(0)
    expected = 0.0
    for i in range(5):
        s = [float(F.cosine_similarity(r[i], c[j], dim=0)) / 0.1 for j in range(5)]
        expected += (math.log(sum(math.exp(each) for each in s)) - s[i]) / 5
    assert abs(float(info_nce_rows(r, c, temperature=0.1)) - expected) < 1e-10
    both = (info_nce_rows(r, c, temperature=0.1) + info_nce_rows(c, r, temperature=0.1)) / 2
    torch.testing.assert_close(both, losses.info_nce(r, c, temperature=0.1))
    assert torch.autograd.gradcheck(
        lambda a, b: info_nce_rows(a, b, temperature=0.3), (r.clone().requires_grad_(), c.clone().requires_grad_())
    )  # fmt: skip


def test_info_nce_where_its_value_is_known():
    ones = torch.ones(7, 3, dtype=torch.double)
    assert abs(float(info_nce_rows(ones, ones, temperature=0.1)) - math.log(7)) < 1e-10
    rows = noise(6, 4)
    assert 0 < info_nce_rows(rows, rows, temperature=0.1) < info_nce_rows(rows, -rows, temperature=0.1)


def test_the_two_regularisers_are_the_low_frequencies_of_the_change():
    rows, delta = noise(4, 3), noise(1, 3, 8, 8)
    x = noise(4, 3, 8, 8)
    change = x + delta - x  # not clipped
    low = advencoder_loss(rows, rows, change, radius=3, alpha=0)
    torch.testing.assert_close(low, (delta - high_pass(delta, 3)).square().mean(), atol=1e-6, rtol=0)
    assert advencoder_loss(rows, rows, high_pass(change, 3), radius=3, alpha=0) < 1e-12
    near, far = (advencoder_loss(rows, each, change, radius=3) for each in (rows, -rows))
    assert far < near  # it is lowered by what takes a picture away from itself


def test_the_loss_is_its_formula_and_has_its_gradient():
    clean, perturbed, change = noise(4, 3), noise(4, 3).flip(0) + 0.5, 0.1 * noise(1, 1, 4, 4)
    settings = {"radius": 1.5, "alpha": 4.0, "beta": 0.7, "lam": 0.2, "temperature": 0.5}
    total = 0.0
    for i in range(4):  # from the clean picture to all perturbed ones
        s = [float(F.cosine_similarity(clean[i], perturbed[j], dim=0)) / 0.5 for j in range(4)]
        total -= 4.0 * (math.log(sum(math.exp(each) for each in s)) - s[i]) / 4
    total += float(0.7 * change.square().mean() - 0.2 * high_pass(change, 1.5).square().mean())
    assert float(advencoder_loss(clean, perturbed, change, **settings)) == pytest.approx(total)
    inputs = [each.clone().requires_grad_() for each in (clean, perturbed, change)]
    assert torch.autograd.gradcheck(lambda *each: advencoder_loss(*each, **settings), inputs)


def test_nothing_changes_nothing_and_rates_are_of_predictions():
    assert fooling_rate(torch.tensor([1, 2]), torch.tensor([1, 2])) == 0
    assert fooling_rate(torch.tensor([1, 2]), torch.tensor([2, 2])) == 0.5  # whatever is right
    with pytest.raises(ValueError, match="one prediction per picture"):
        fooling_rate(torch.tensor([1]), torch.tensor([1, 2]))


def test_a_patch_covers_and_a_perturbation_is_added():
    x, delta = torch.full((2, 1, 8, 8), 0.9), torch.full((1, 1, 8, 8), 0.3)
    assert perturb(x, delta).max() == 1
    mask = patch_mask(8, share=0.25, row=4)
    seen = perturb(x, delta, mask)
    assert mask.sum() == 16 and (seen[:, :, 4:, :4] == 0.3).all() and (seen[:, :, :4] == 0.9).all()
    with pytest.raises(ValueError, match="leaves a picture"):
        patch_mask(8, share=0.25, row=6)


def small():
    images = torch.rand(24, 3, 8, 8, generator=generator(2))
    return encoders.conv(4, 2), images


def test_one_perturbation_within_eps_and_an_encoder_as_it_was():
    encoder, images = small()
    encoder.train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    delta = attacks.advencoder(encoder, images, eps=0.1, radius=2, steps=3, batch_size=8)
    assert delta.shape == (1, 3, 8, 8) and delta.abs().max() <= 0.1 and not delta.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(weight.grad is None for weight in encoder.parameters()) and encoder.training
    assert attacks.advencoder(encoder, images, eps=0, radius=2, steps=1, batch_size=8).abs().max() == 0
    torch.testing.assert_close(
        delta, attacks.advencoder(encoder, (255 * images).round() / 255, eps=0.1, radius=2, steps=3, batch_size=8), atol=0.02, rtol=0,
    )  # fmt: skip


def test_training_takes_pictures_away_from_themselves():
    encoder, images = small()
    encoder.eval()

    def apart(delta):
        with torch.no_grad():
            return info_nce_rows(encoder(images), encoder(perturb(images, delta)), temperature=0.1)

    made = attacks.advencoder(encoder, images, eps=0.2, radius=2, steps=40, batch_size=24, lr=2e-3)
    untrained = Generator(3, 8)().detach().clamp(-0.2, 0.2)
    assert apart(made) > apart(untrained) > apart(torch.zeros(1, 3, 8, 8))


def test_a_patch_may_take_any_pixel_value():
    encoder, images = small()
    delta = attacks.advencoder(
        encoder, images, eps=0.01, mask=patch_mask(8, share=0.2), steps=2, batch_size=8
    )
    assert 0 <= delta.min() <= delta.max() <= 1


def test_what_cannot_be_done():
    encoder, images = small()
    with pytest.raises(ValueError, match="4 times a power of two"):
        Generator(3, 10)
    with pytest.raises(ValueError, match="one picture"):
        attacks.advencoder(encoder, images[:1])
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        attacks.advencoder(encoder, images * 2)
    with pytest.raises(ValueError, match="eps must be"):
        attacks.advencoder(encoder, images, eps=-0.1)
