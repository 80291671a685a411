"""LQ-VAE: codes, penalty, who learns from what, and what the bits promise."""

import pytest
import torch
from scipy.stats import norm
from torch import nn

from sslwork import nets, purify, vae
from sslwork.data import PictureSet
from sslwork.purify.lq_vae import LQVAE, fit, gradient_penalty, hard_code, soft_code
from sslwork.seeds import generator

X = torch.rand(6, 1, 8, 8, generator=generator(0))


def small(**more):
    return LQVAE((1, 8, 8), latent=8, hidden=[16], width=4, **more)


def test_codes_at_their_marks():
    z = torch.tensor([0.0, 0.1, -0.1, 1e6], dtype=torch.double)
    torch.testing.assert_close(soft_code(z), torch.tensor([5 / 6, 0, 0, -1], dtype=torch.double))
    assert hard_code(z).tolist() == [1, 1, 1, -1]  # at the threshold +1, never 0
    z = torch.randn(1000, dtype=torch.double, generator=generator(1))
    assert torch.equal(hard_code(z), soft_code(z).sign()) and torch.equal(hard_code(z), hard_code(-z))
    assert torch.autograd.gradcheck(soft_code, (z[:20].requires_grad_(),))


def test_share_of_ones_under_the_prior():
    z = torch.randn(200_000, generator=generator(2))
    wide, narrow = 2 * norm.cdf(0.1) - 1, 2 * norm.cdf(2) - 1
    assert (wide, narrow) == (pytest.approx(0.0797, abs=1e-4), pytest.approx(0.9545, abs=1e-4))
    assert float((hard_code(z) > 0).double().mean()) == pytest.approx(wide, abs=0.003)
    drawn = small().net.draw(
        0 * z, 0 * z, generator(3)
    )  # mu = 0, s = 0, where KL = 0: noise of deviation tau / 2
    assert float((hard_code(drawn) > 0).double().mean()) == pytest.approx(narrow, abs=0.003)


def test_penalty_of_a_constant_and_of_a_linear_encoder():
    a = torch.randn(5, 64, dtype=torch.double, generator=generator(4))
    x = X.double()
    assert gradient_penalty(lambda at: torch.ones(6, 5, dtype=torch.double), x) == pytest.approx(0.01)
    assert gradient_penalty(lambda at: 0 * at.flatten(1), x) == pytest.approx(0.01, abs=1e-6)
    found = gradient_penalty(lambda at: at.flatten(1) @ a.T, x)  # one length for all pictures
    assert found == pytest.approx((0.1 - float(a.sum(0).norm())) ** 2)


def test_penalty_is_of_the_sum_of_mu_in_units_of_minus_one_to_one():
    model = small().double()
    expected = 0.0
    for one in X.double():
        x = one[None].requires_grad_()
        slope = torch.autograd.grad(model.net.encode(x)[0].sum(), x)[0] / 2
        expected += (0.1 - float(slope.norm())) ** 2 / len(X)
    losses = [float(model.encoder_loss(X.double(), generator(5), penalty=p)) for p in (0.0, 10.0)]
    assert losses[1] - losses[0] == pytest.approx(10 * expected, rel=1e-5)


def test_encoder_loss_against_the_formula():
    model = small().double()
    x, n = X.double(), torch.randn(6, 8, generator=generator(6)).double()
    mu, s = model.net.encode(x)
    code = soft_code(mu + 0.05 * (s / 2).exp() * n)
    error = ((2 * model.net.decoder(code) - 1) - (2 * x - 1)).square().mean()
    expected = (-0.5 * (1 + s - mu**2 - s.exp())).mean() + 10 * error
    torch.testing.assert_close(model.encoder_loss(x, generator(6), penalty=0), expected)


def test_second_derivatives_of_the_penalty_reach_the_encoder():
    model = small()
    found = gradient_penalty(lambda at: model.net.encode(at)[0], X)
    slopes = torch.autograd.grad(found, list(model.net.encoder.parameters()), allow_unused=True)
    assert any(slope is not None and slope.abs().max() > 0 for slope in slopes)


def test_decoders_share_no_gradient_and_none_reaches_the_encoder():
    model = small()
    continuous, discrete = model.decoder_losses(X, generator(7))
    for loss, own in ((continuous, model.net.decoder), (discrete, model.discrete)):
        model.zero_grad()
        loss.backward()
        touched = {id(p) for p in model.parameters() if p.grad is not None and p.grad.abs().max() > 0}
        assert touched and touched <= {id(p) for p in own.parameters()}


def test_no_bit_flips_within_its_margin():
    """While no mu_d moves by as much as its distance to the threshold, the picture that comes out is the same to the bit."""
    model = small()
    mu, least = model.net.encode(X)[0], model.margins(X).amin(1)
    torch.testing.assert_close(model.margins(X), (mu.abs() - 0.1).abs())
    kept = 0
    for seed in range(40):
        attacked = (X + 0.02 * torch.randn(X.shape, generator=generator(8, seed))).clamp(0, 1)
        within = (model.net.encode(attacked)[0] - mu).abs().amax(1) < least
        kept += int(within.sum())
        assert torch.equal(model.bits(attacked)[within], model.bits(X)[within])
        assert (model.flips(X, attacked)[within] == 0).all()
    assert kept > 10  # not an empty promise


def test_the_filter_draws_nothing_and_hides_its_gradient():
    model, net = small(), nets.small_conv()
    assert torch.equal(model(X), model(X)) and model.deterministic
    assert torch.equal(model(X), model.soft(X))
    x = X.clone().requires_grad_()
    assert torch.autograd.grad(model(x).sum(), x, allow_unused=True)[0] is None  # bits have no gradient
    assert torch.autograd.grad(purify.Guarded(net, model)(x).sum(), x)[0].abs().max() > 0


def test_training_learns_and_the_seed_is_the_training():
    pictures = PictureSet(X.repeat(4, 1, 1, 1))
    a, b = small(), small()
    losses = [fit(model, pictures, steps=40, batch_size=16, lr=1e-2, seed=1) for model in (a, b)]
    assert losses[0] == losses[1] and losses[0][-1] < losses[0][0] and not a.training
    assert torch.equal(a(X), b(X))


def test_each_step_moves_the_encoder_and_both_decoders():
    model, fresh = small(), small()
    fit(model, PictureSet(X), steps=1, batch_size=6)
    for part in ("net.encoder", "net.decoder", "discrete"):
        pairs = zip(
            model.get_submodule(part).parameters(), fresh.get_submodule(part).parameters(), strict=True
        )
        assert all(not torch.equal(a, b) for a, b in pairs)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="threshold must be"):
        small(threshold=0)
    with pytest.raises(ValueError, match="softness must be"):
        small(softness=-1)
    with pytest.raises(ValueError, match="penalty must be"):
        fit(small(), PictureSet(X), penalty=-1.0)
    with pytest.raises(ValueError, match="x must have shape"):
        small()(X[:, 0])


def test_it_is_a_small_vae_with_a_second_decoder():
    model = small()
    assert isinstance(model.net, vae.Small) and isinstance(model.discrete, nn.Sequential)
    assert sum(p.numel() for p in model.discrete.parameters()) == sum(
        p.numel() for p in model.net.decoder.parameters()
    )
