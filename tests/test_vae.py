"""The small variational auto-encoder, and plain descent."""

import pytest
import torch

from sslwork import descent, vae
from sslwork.data import PictureSet
from sslwork.seeds import generator

X = torch.rand(5, 1, 8, 8, generator=generator(0))
ROWS = torch.randn(50, 6, generator=generator(1))


def test_loss_against_the_formula():
    model = vae.Small(shape=(1, 8, 8), latent=3, hidden=[10], width=2).double()
    x = X.double()
    mu, s = (each.detach() for each in model.encode(x))
    noise = torch.randn(mu.shape, generator=generator(7)).double()
    total = 0.0
    for i in range(len(x)):
        restored = model.decoder((mu[i] + (s[i] / 2).exp() * noise[i])[None])[0].detach()
        total += float((restored - x[i]).square().sum())
        for d in range(3):
            total += 0.3 * float(-0.5 * (1 + s[i, d] - mu[i, d] ** 2 - s[i, d].exp()))
    torch.testing.assert_close(model.loss(x, generator(7), beta=0.3).item(), total / len(x))


def test_kl_is_zero_only_at_the_prior_and_has_the_right_gradient():
    assert vae.kl(torch.zeros(2), torch.zeros(2)).abs().max() == 0
    mu, s = torch.randn(2, 4, 3, dtype=torch.double, generator=generator(2))
    assert (vae.kl(mu, s) > 0).all()
    assert torch.autograd.gradcheck(vae.kl, (mu.requires_grad_(), s.requires_grad_()))


def test_without_a_generator_nothing_is_drawn():
    model = vae.Small(shape=(1, 8, 8), latent=3)
    assert torch.equal(model(X), model(X))
    assert torch.equal(model(X), model.decode(model.encode(X)[0]))
    assert not torch.equal(model(X, generator(1)), model(X))


def test_the_quantiser_stands_before_the_decoder():
    plain, cut = (vae.Small(shape=(1, 8, 8), quantiser=q, seed=3) for q in (None, torch.sign))
    z = torch.randn(4, 16, generator=generator(3))
    assert torch.equal(cut.decode(z), plain.decode(z.sign()))
    assert torch.equal(cut.decode(z), cut.decode(3 * z))


@pytest.mark.parametrize("data", [X, PictureSet(X), ROWS])
def test_training_lowers_the_loss_and_draws(data):
    rows = data.images if isinstance(data, PictureSet) else data
    model = vae.Small(
        "vector" if rows.ndim == 2 else "image", shape=rows.shape[1:], latent=4, hidden=[16], seed=0
    )
    losses = vae.fit(model, data, beta=0.1, steps=60, batch_size=32, lr=1e-2, seed=0)
    assert sum(losses[-10:]) < sum(losses[:10]) and not model.training
    assert model.sample(3, generator(0)).shape == (3, *rows.shape[1:])


def test_the_seed_is_the_training():
    a, b, c = (vae.Small("vector", shape=(6,), seed=0) for _ in range(3))
    found = [vae.fit(m, ROWS, steps=5, seed=s) for m, s in ((a, 0), (b, 0), (c, 1))]
    assert found[0] == found[1] != found[2]


def test_descent_moves_its_own_parameters_alone_and_leaves_no_gradient_elsewhere():
    moved, frozen, other = (torch.nn.Parameter(torch.tensor(w)) for w in (1.0, 2.0, 3.0))
    frozen.requires_grad_(False)
    by_hand = moved.detach().clone().requires_grad_()
    ours, theirs = torch.optim.Adam([moved, frozen], lr=0.1), torch.optim.Adam([by_hand], lr=0.1)
    for step in range(3):
        loss = (by_hand * 2.0 * 3.0 - 1).square()
        assert descent.descend(ours, (moved * frozen * other - 1).square(), step) == loss.item()
        theirs.zero_grad()
        loss.backward()
        theirs.step()
    assert torch.equal(moved, by_hand) and other.grad is None and frozen == 2 and other == 3


def test_descent_stops_before_it_spoils_a_weight():
    weight = torch.nn.Parameter(torch.ones(()))
    with pytest.raises(FloatingPointError, match="inf at step 7: lower the learning rate"):
        descent.descend(torch.optim.SGD([weight], lr=1.0), weight / 0, 7)
    assert weight == 1


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="kind must be"):
        vae.Small("picture")
    with pytest.raises(ValueError, match="multiples of 4"):
        vae.Small(shape=(1, 9, 8))
    with pytest.raises(ValueError, match=r"x must have shape \(N, 1, 8, 8\)"):
        vae.Small(shape=(1, 8, 8))(X[:, :, :4])
    with pytest.raises(ValueError, match="steps, batch_size and rows"):
        vae.fit(vae.Small("vector", shape=(6,)), ROWS, steps=0)
    weight = torch.nn.Parameter(torch.ones(()))
    with pytest.raises(FloatingPointError, match="loss is nan at step 0"):
        descent.adam(lambda x, _: weight * float("nan"), [weight], ROWS, steps=1)
