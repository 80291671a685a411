"""A small variational auto-encoder, of pictures or of rows: encoder, noise, perhaps a quantiser, decoder."""

import itertools
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from sslwork import checks, descent
from sslwork.data.pictures import PictureSet
from sslwork.nets import Normalise
from sslwork.seeds import seeded

KINDS = ("image", "vector")


class Small(nn.Module):
    """x -> (mu, s), z = mu + spread exp(s / 2) n with n ~ N(0, 1), and x' = decoder(quantiser(z)).

    Args:
        kind: "image": pictures in [0, 1], two convolutions that halve the picture, a sigmoid at the end; "vector": rows,
            dense layers, a linear end.
        shape: of one picture (C, H, W) or row (D,).
        latent: L, the entries of z.
        hidden: widths of the dense layers, from the input's side inwards.
        width: channels of the first convolution; the second has twice as many.
        quantiser: z (N, L) -> code (N, L), before the decoder; none unless given.
        spread: of the noise.
        seed: of the weights.

    Raises:
        ValueError: another kind, a shape that is not its, sides that are no multiples of 4.

    Source: Kingma and Welling 2013, arXiv 1312.6114.

    >>> Small(shape=(1, 8, 8), latent=3)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(
        self, kind: Literal["image", "vector"] = "image", *, shape: Sequence[int] = (1, 28, 28), latent: int = 16,
        hidden: Sequence[int] = (256,), width: int = 16, quantiser: Callable[[Tensor], Tensor] | None = None,
        spread: float = 1.0, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
        if len(shape) != (3 if kind == "image" else 1) or (kind == "image" and any(n % 4 for n in shape[1:])):
            raise ValueError(
                f"shape must be (C, H, W) with sides that are multiples of 4 for 'image' and (D,) for 'vector', "
                f"got {tuple(shape)} for {kind!r}"
            )
        self.shape, self.latent, self.quantiser, self.spread = tuple(shape), latent, quantiser, spread
        with seeded(seed):
            self.encoder = _encoder(self.shape, 2 * latent, hidden, width)
            self.decoder = decoder(self.shape, latent, hidden, width)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and s, the logarithm of the variance, each (N, L)."""
        if x.shape[1:] != self.shape:
            raise ValueError(
                f"x must have shape (N, {', '.join(map(str, self.shape))}), got {tuple(x.shape)}"
            )
        return self.encoder(x).chunk(2, dim=1)

    def draw(self, mu: Tensor, s: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """z (N, L): mu itself without a generator."""
        if generator is None:
            return mu
        noise = torch.randn(mu.shape, generator=generator, device=generator.device).to(mu)
        return mu + self.spread * (s / 2).exp() * noise

    def decode(self, z: Tensor) -> Tensor:
        """Pictures in [0, 1], or rows, of z (N, L)."""
        return self.decoder(self.quantiser(z) if self.quantiser else z)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x restored; without a generator nothing is drawn."""
        return self.decode(self.draw(*self.encode(x), generator))

    def loss(self, x: Tensor, generator: torch.Generator | None = None, *, beta: float = 1.0) -> Tensor:
        """(1/N) sum_i [ ||x'_i - x_i||^2 + beta KL_i ]: squared errors and KL both summed over their entries."""
        mu, s = self.encode(x)
        error = (self.decode(self.draw(mu, s, generator)) - x).square().flatten(1).sum(1)
        return (error + beta * kl(mu, s).sum(1)).mean()

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """`n` new pictures or rows, from z ~ N(0, 1)."""
        where = next(self.parameters())
        return self.decode(
            torch.randn(n, self.latent, generator=generator, device=generator.device).to(where)
        )


def kl(mu: Tensor, s: Tensor) -> Tensor:
    """KL(N(mu, e^s) || N(0, 1)) of each entry, -(1 + s - mu^2 - e^s) / 2: 0 only where mu = 0 and s = 0.

    >>> kl(torch.tensor([1.0, 2.0]), torch.zeros(2))
    tensor([0.5000, 2.0000])
    """
    return -(1 + s - mu.square() - s.exp()) / 2


def fit(
    model: Small, data: PictureSet | Tensor, *, beta: float = 1.0, steps: int = 500, batch_size: int = 64,
    lr: float = 2e-3, seed: int = 0,
) -> list[float]:  # fmt: skip
    """Train it by Adam (`descent.adam`) on pictures or rows (N, D). Returns the losses; the model is in evaluation mode."""
    checks.not_negative(beta=beta)
    losses = descent.adam(
        lambda x, draw: model.loss(x, draw, beta=beta), model.parameters(), data,
        steps=steps, batch_size=batch_size, lr=lr, seed=seed,
    )  # fmt: skip
    model.eval()
    return losses


def _encoder(shape: tuple[int, ...], out: int, hidden: Sequence[int], width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    flat = shape[0]
    if len(shape) == 3:
        channels, height, side = shape
        layers = [
            Normalise(), nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
        ]  # fmt: skip
        flat = 2 * width * (height // 4) * (side // 4)
    return nn.Sequential(*layers, *_dense([flat, *hidden, out]))


def decoder(
    shape: Sequence[int], latent: int, hidden: Sequence[int] = (256,), width: int = 16
) -> nn.Sequential:
    """The encoder's mirror image: z (N, L) -> pictures in [0, 1], or rows."""
    if len(shape) == 1:
        return nn.Sequential(*_dense([latent, *hidden[::-1], shape[0]]))
    channels, height, side = shape
    small = 2 * width, height // 4, side // 4
    return nn.Sequential(
        *_dense([latent, *hidden[::-1], small[0] * small[1] * small[2]]), nn.ReLU(), nn.Unflatten(1, small),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.Sigmoid(),
    )  # fmt: skip


def _dense(widths: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = [
        part for pair in itertools.pairwise(widths) for part in (nn.Linear(*pair), nn.ReLU())
    ]
    return layers[:-1]
