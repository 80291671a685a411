"""AnyAttack: its exact properties, and that noise belongs to its target and gradients to the decoder alone."""

import math

import pytest
import torch

from sslwork import encoders, losses
from sslwork.attacks.advencoder import info_nce_rows
from sslwork.attacks.anyattack import (
    Decoder,
    anyattack_loss,
    carry,
    direct_loss,
    finetune,
    pretrain,
    retrieved,
    temperature_at,
)
from sslwork.seeds import generator

EPS = 0.1


@pytest.fixture
def encoder():
    return encoders.conv(4, 2).eval()


@pytest.fixture
def images():
    return torch.rand(12, 3, 8, 8, generator=generator(3))


def decoder(images, size=8):
    return Decoder(8, images.shape[1], size, eps=EPS, width=16).eval()


def test_the_temperature_falls_exponentially_and_then_stays():
    found = [temperature_at(step) for step in (0, 5_000, 10_000, 30_000)]
    assert found == pytest.approx([1, math.sqrt(0.07), 0.07, 0.07])


def test_noise_is_of_its_target_and_pictures_stay_near_their_carriers(encoder, images):
    net = decoder(images)
    with torch.no_grad():
        rows = encoder(images)
        noise = net(rows)
        adversarial = carry(images.flip(0), noise, EPS)
        torch.testing.assert_close(net(rows[:3]), noise[:3])  # whatever comes with it, whichever the carriers
        torch.testing.assert_close(net(rows.flip(0)), noise.flip(0))
    assert (adversarial - images.flip(0)).abs().max() <= EPS + 1e-6
    assert adversarial.min() >= 0 and adversarial.max() <= 1
    assert torch.equal(carry(images, noise, 0.0), images)


def test_the_loss_against_a_loop(encoder, images):
    net, orders = decoder(images), torch.stack([torch.arange(12).roll(1), torch.arange(12).roll(5)])
    with torch.no_grad():
        found = anyattack_loss(encoder, net, images, orders, temperature=0.3)
        rows, seen = [], []
        for i in range(12):
            e = encoder(images[i : i + 1])
            parts = [
                encoder((images[order[i]][None] + net(e).clamp(-EPS, EPS)).clamp(0, 1)) for order in orders
            ]
            rows.append(e)
            seen.append(sum(parts) / 2)
        expected = info_nce_rows(torch.cat(rows), torch.cat(seen), temperature=0.3)
    torch.testing.assert_close(found, expected)


def test_only_the_carriers_are_permuted(images):
    """With an encoder that sees nothing but noise, row i is found at column i; permuted noise would be lost."""
    pair = images[:2].clone()
    pair[0], pair[1] = 0.25, 0.75

    def mean(x):
        return (x.mean((1, 2, 3))[:, None] - 0.5).expand(-1, 2) * torch.tensor([1.0, -0.5])

    class Signs(torch.nn.Module):
        eps = 0.5

        def forward(self, rows):
            return 0.5 * rows[:, :1].sign()[:, :, None, None].expand(-1, 3, 8, 8)

    loss = anyattack_loss(mean, Signs(), pair, torch.tensor([[1, 0]]), temperature=0.07)
    assert loss < 0.7  # log 2 would be chance: carriers pull to 0.5, the noise decides
    wrong = anyattack_loss(
        mean, lambda_of(lambda rows: Signs()(rows).flip(0), 0.5), pair, torch.tensor([[1, 0]]), temperature=0.07
    )  # fmt: skip
    assert wrong > loss


def lambda_of(function, eps):
    function.eps = eps
    return function


def test_gradients_reach_the_decoder_through_the_carriers_only(encoder, images):
    net, orders = decoder(images), torch.arange(12).roll(1)[None]
    both = [*net.parameters(), *encoder.parameters()]
    reached = torch.autograd.grad(anyattack_loss(encoder, net, images, orders, temperature=0.3), both)
    assert all(grad.abs().sum() > 0 for grad in reached if grad.ndim > 1)
    with torch.no_grad():
        rows = encoder(images)
    seen = encoder(carry(images[orders[0]], net(rows), EPS))
    alone = torch.autograd.grad(info_nce_rows(rows, seen, temperature=0.3), both)
    torch.testing.assert_close(
        alone, reached
    )  # with the row side a constant nothing is missing, and nothing is added


def test_the_losses_of_fine_tuning():
    rows, others = torch.randn(2, 6, 5, generator=generator(4), dtype=torch.double)
    both = losses.info_nce(rows, others, temperature=0.07)
    torch.testing.assert_close(both, losses.info_nce(others, rows, temperature=0.07))
    one, other = (info_nce_rows(*pair, temperature=0.07) for pair in ((rows, others), (others, rows)))
    assert abs(one - other) > 1e-3  # pretraining's is not symmetric
    assert direct_loss(rows, 3 * rows) == pytest.approx(-1) and direct_loss(rows, -rows) == pytest.approx(1)
    assert -1 < direct_loss(rows, others) < 1


def test_training_lowers_the_loss_and_leaves_the_encoders_alone(encoder, images):
    other = encoders.conv(8, 2, seed=1).train()
    before = {name: value.clone() for name, value in other.state_dict().items()}
    net = pretrain(encoder, images, eps=EPS, carriers=2, steps=30, batch_size=12, lr=5e-3, until=30, width=16)
    orders = torch.arange(12).roll(1)[None]

    def loss(decoder):
        with torch.no_grad():
            return anyattack_loss(encoder, decoder, images, orders, temperature=0.07)

    assert not net.training and loss(net) < loss(decoder(images))
    finetune(net, encoder, [other], images, images.flip(0), steps=2, batch_size=6)
    finetune(net, encoder, [other], images, images.flip(0), steps=2, batch_size=6, direct=True)
    assert other.training and all(
        torch.equal(value, before[name]) for name, value in other.state_dict().items()
    )
    assert all(weight.grad is None for each in (encoder, other) for weight in each.parameters())


def test_the_temperature_falls_while_it_trains(encoder, images):
    slow, fast = (
        pretrain(encoder, images, eps=EPS, carriers=1, steps=2, batch_size=12, until=until, width=16)
        for until in (2, 10_000)
    )
    assert not torch.equal(slow.net[0].weight, fast.net[0].weight)


def test_retrieval():
    gallery = torch.eye(4)
    assert retrieved(5 * gallery.flip(0), gallery).tolist() == [3, 2, 1, 0]
    with pytest.raises(ValueError, match="of one width"):
        retrieved(gallery, torch.eye(3))
    for broken, name in (((gallery / 0, gallery), "seen"), ((gallery, gallery * torch.nan), "gallery")):
        with pytest.raises(ValueError, match=f"{name} holds NaN"):
            retrieved(*broken)


def test_what_cannot_be_done(encoder, images):
    for size in (2, 12):
        with pytest.raises(ValueError, match=f"4 times a power of two, got {size}"):
            Decoder(8, 3, size, eps=EPS)
    for step, until in ((-1, 10), (0, 0)):
        with pytest.raises(ValueError, match="step must be 0 or above"):
            temperature_at(step, until)
    with pytest.raises(ValueError, match="eps must be a finite number above 0"):
        pretrain(encoder, images, eps=0.0)
    with pytest.raises(ValueError, match="told from others"):
        pretrain(encoder, images[:1])
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        finetune(decoder(images), encoder, [], images, images * 3)
    with pytest.raises(ValueError, match="steps must be a whole number"):
        pretrain(encoder, images, steps=0)
