"""LQ-VAE: a variational encoder whose every latent entry is cut down to one bit, and a decoder of these bits."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks, descent, vae
from sslwork.data.pictures import PictureSet
from sslwork.purify.filter import straight_through
from sslwork.seeds import generator, seeded


def hard_code(z: Tensor, *, threshold: float = 0.1) -> Tensor:
    """+1 where |z| <= threshold, -1 elsewhere. (sign would give 0, a third value, at |z| = threshold.)

    >>> hard_code(torch.tensor([0.0, -0.05, 0.1, 0.2, -3.0]))
    tensor([ 1.,  1.,  1., -1., -1.])
    """
    return 1 - 2 * (z.abs() > threshold).to(z.dtype)


def soft_code(z: Tensor, *, threshold: float = 0.1, softness: float = 500) -> Tensor:
    """softsign(softness (threshold^2 - z^2)), softsign(a) = a / (1 + |a|): between -1 and 1, of the sign of `hard_code`.

    >>> print(f"{soft_code(torch.tensor(0.0)):.4f}")
    0.8333
    """
    return F.softsign(softness * (threshold**2 - z.square()))


def gradient_penalty(mean: Callable[[Tensor], Tensor], x: Tensor, *, wanted: float = 0.1) -> Tensor:
    """mean_i (wanted - || grad_x sum_d mu_d(x_i) ||_2)^2: asks for a small sensitivity, not for none.

    Args:
        mean: x (N, ...) -> mu (N, L).
        x: in the units in which the sensitivity counts (the paper's pictures lie in [-1, 1]).
    """
    x = x.detach().requires_grad_()
    total = mean(x).sum()
    if not total.requires_grad:  # a constant
        return (x.new_tensor(wanted)) ** 2
    (slope,) = torch.autograd.grad(total, x, create_graph=True, materialize_grads=True)
    # A root has no finite slope at 0, where a dead encoder would be.
    length = (slope.square().flatten(1).sum(1) + 1e-12).sqrt()
    return (wanted - length).square().mean()


class LQVAE(nn.Module):
    """x -> mu -> L bits -> picture, as a filter: Dd(hard_code(mu(x))), without noise.

    Args:
        shape: of a picture, (C, H, W), sides multiples of 4.
        latent: L, the number of bits.
        threshold: tau. In training z = mu + tau/2 exp(s/2) n.
        softness: of the soft code, through which the encoder learns and the adaptive attacker differentiates.
        hidden, width, seed: as for `vae.Small`.

    `net` is the encoder with the continuous decoder Dc, of soft codes; `discrete` is Dd, of bits.

    Source: Kyatham, Mishra, Yadav, Mishra, Prathosh 2019, arXiv 1903.09940.
    """

    deterministic = True

    def __init__(
        self, shape: Sequence[int] = (1, 28, 28), *, latent: int = 64, threshold: float = 0.1, softness: float = 500,
        hidden: Sequence[int] = (256,), width: int = 16, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.threshold = checks.positive(threshold, "threshold")
        self.softness = checks.positive(softness, "softness")
        self.net = vae.Small(
            shape=shape, latent=latent, hidden=hidden, width=width, spread=threshold / 2, seed=seed,
            quantiser=self.soft_bits,
        )  # fmt: skip
        with seeded(seed + 1):
            self.discrete = vae.decoder(shape, latent, hidden, width)

    def soft_bits(self, z: Tensor) -> Tensor:
        return soft_code(z, threshold=self.threshold, softness=self.softness)

    def bits(self, x: Tensor) -> Tensor:
        """The code of pictures, (N, L) of -1 and 1."""
        return hard_code(self.net.encode(x)[0], threshold=self.threshold)

    def forward(self, x: Tensor) -> Tensor:
        return self.discrete(self.bits(x))

    def soft(self, x: Tensor) -> Tensor:
        """The same pictures, with a gradient: the bits' own is 0, so that of the soft code is taken."""
        mu, _ = self.net.encode(x)
        hard = hard_code(mu, threshold=self.threshold)
        return self.discrete(straight_through(hard, self.soft_bits(mu)))

    def margins(self, x: Tensor) -> Tensor:
        """| |mu_d| - tau |, (N, L): while no mu_d moves by that much, the filter's answer stays the same to the bit."""
        return (self.net.encode(x)[0].abs() - self.threshold).abs()

    def flips(self, x: Tensor, attacked: Tensor) -> Tensor:
        """The share of bits that differ, (N,)."""
        return (self.bits(x) != self.bits(attacked)).double().mean(1)

    def encoder_loss(self, x: Tensor, draw: torch.Generator, *, penalty: float = 10.0) -> Tensor:
        """KL + 10 R_s + penalty GP, with R and GP in the units of pictures in [-1, 1], KL the mean over entries."""
        mu, s = self.net.encode(x)
        restored = self.net.decode(self.net.draw(mu, s, draw))
        loss = vae.kl(mu, s).mean() + 10 * _error(restored, x)
        if penalty:
            loss = loss + penalty * gradient_penalty(lambda at: self.net.encode((at + 1) / 2)[0], 2 * x - 1)
        return loss

    def decoder_losses(self, x: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """10 R_s of Dc and 10 R_h of Dd; no gradient reaches the encoder."""
        with torch.no_grad():
            z = self.net.draw(*self.net.encode(x), draw)
        hard = self.discrete(hard_code(z, threshold=self.threshold))
        return 10 * _error(self.net.decode(z), x), 10 * _error(hard, x)


def fit(
    model: LQVAE, pictures: PictureSet, *, penalty: float = 10.0, steps: int = 1000, batch_size: int = 64,
    lr: float = 3e-4, seed: int = 0,
) -> list[float]:  # fmt: skip
    """Train it on clean pictures: on each batch first the encoder, then Dc and Dd, each by RMSProp.

    Args:
        model: changed in place.
        penalty: weight of GP; 0 is the control without it.

    Returns:
        What the encoder lowered.
    """
    checks.not_negative(penalty=penalty)
    parts = [model.net.encoder, model.net.decoder, model.discrete]
    encoder, continuous, discrete = (
        torch.optim.RMSprop(part.parameters(), lr=lr, alpha=0.9) for part in parts
    )
    draw, losses = generator(seed), []
    for step, batch in enumerate(descent.batches(pictures, steps, batch_size, draw)):
        x = batch.to(next(model.parameters()).device)
        loss = model.encoder_loss(x, draw, penalty=penalty)
        losses.append(descent.finite(loss, step))
        _step(encoder, loss)
        for optimiser, value in zip((continuous, discrete), model.decoder_losses(x, draw), strict=True):
            _step(optimiser, value)
    model.eval()
    return losses


def _error(restored: Tensor, x: Tensor) -> Tensor:
    """Mean squared error of pictures in [-1, 1], of pictures in [0, 1]."""
    return 4 * (restored - x).square().mean()


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step of the optimiser's own parameters; no other gets a gradient."""
    parameters = optimiser.param_groups[0]["params"]
    for p, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        p.grad = gradient
    optimiser.step()
