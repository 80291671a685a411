"""AdvEncoder: one perturbation for all pictures, made from a public encoder and unrelated pictures."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sslwork import checks, descent
from sslwork.attacks import inputs
from sslwork.data.pictures import to_float
from sslwork.embedding import evaluating
from sslwork.losses.similarity import logsumexp, unit
from sslwork.schedule import batch_rows
from sslwork.seeds import seeded


def high_pass(images: Tensor, radius: float) -> Tensor:
    """H(x): the part of each plane (..., H, W) whose frequencies lie at least `radius` from the centre of its spectrum.

    Linear, and an orthogonal projection: H(H(x)) = H(x), and x - H(x) is orthogonal to H(x).

    Args:
        images: (..., H, W) floating point.
        radius: in cycles per picture, >= 0; 0 leaves everything, above half the diagonal nothing is left.

    >>> high_pass(torch.full((1, 1, 4, 4), 0.7), radius=1).abs().max() < 1e-6
    tensor(True)
    """
    checks.not_negative(radius=radius)
    height, width = images.shape[-2:]
    down, across = (
        torch.fft.fftfreq(n, 1 / n, dtype=images.dtype, device=images.device) for n in (height, width)
    )
    kept = (
        down[:, None].hypot(across) >= radius
    )  # (H, W), the zero frequency in the corner: no shift is needed
    return torch.fft.ifft2(torch.fft.fft2(images) * kept).real


def info_nce_rows(rows: Tensor, columns: Tensor, *, temperature: float) -> Tensor:
    """InfoNCE in one direction: mean_i -log e(r_i.c_i) / sum_j e(r_i.c_j), e(s) = exp(s / temperature), unit rows.

    `losses.info_nce` is the mean of this and of the other direction.

    Args:
        rows, columns: (N, D) floating point; row i of one belongs to row i of the other.
        temperature: > 0, in units of cosine similarity.
    """
    checks.pair(rows, columns, ("rows", "columns"), rows=1)
    r, c = unit(rows), unit(columns)
    return (logsumexp(r, c, temperature=temperature) - (r * c).sum(1) / temperature).mean()


def advencoder_loss(
    clean: Tensor, perturbed: Tensor, change: Tensor, *, radius: float, alpha: float = 5.0, beta: float = 1.0,
    lam: float = 1.0, temperature: float = 0.1,
) -> Tensor:  # fmt: skip
    """What AdvEncoder lowers: J = -alpha InfoNCE(E(x), E(x')) + beta mean (x' - x)^2 - lam mean (H(x') - H(x))^2.

    With beta = lam the last two are the low-frequency energy of the change, mean (c - H(c))^2 with c = x' - x.

    Args:
        clean, perturbed: (N, D), rows of the pictures before and after.
        change: (N or 1, C, H, W), x' - x in pixel values.
        radius: of `high_pass`.
        alpha, beta, lam: weights, >= 0.
        temperature: of `info_nce_rows`.
    """
    checks.not_negative(alpha=alpha, beta=beta, lam=lam)
    apart = info_nce_rows(clean, perturbed, temperature=temperature)
    high = high_pass(change, radius)
    return -alpha * apart + beta * change.square().mean() - lam * high.square().mean()


def perturb(images: Tensor, delta: Tensor, mask: Tensor | None = None) -> Tensor:
    """The same perturbation on every picture, clipped to [0, 1]; with a mask a patch that covers what was there.

    Args:
        images: (N, C, H, W) in [0, 1].
        delta: (1, C, H, W); added, or where there is a mask, shown instead.
        mask: (H, W), 1 under the patch and 0 beside it.
    """
    if mask is None:
        return (images + delta).clamp(0, 1)
    return mask * delta.clamp(0, 1) + (1 - mask) * images


def patch_mask(size: int, *, share: float = 0.03, row: int = 0, column: int = 0) -> Tensor:
    """A mask (size, size) of 1 in a square of this share of the area, its upper left corner at (row, column).

    Raises:
        ValueError: a patch that does not lie within the picture.
    """
    side = max(1, round(math.sqrt(share) * size))
    if not 0 <= min(row, column) <= max(row, column) <= size - side:
        raise ValueError(f"a patch of {side} px at ({row}, {column}) leaves a picture of {size} px")
    mask = torch.zeros(size, size)
    mask[row : row + side, column : column + side] = 1
    return mask


def fooling_rate(before: Tensor, after: Tensor) -> float:
    """Share of the predictions (N,) that change, right or wrong: 0 where nothing was perturbed. It is no loss of accuracy.

    Raises:
        ValueError: no predictions, or not one per picture before and after.

    >>> fooling_rate(torch.tensor([3, 1, 4, 1]), torch.tensor([3, 1, 1, 1]))
    0.25
    """
    if before.shape != after.shape or before.ndim != 1 or not len(before):
        raise ValueError(
            f"before and after must hold one prediction per picture, got {tuple(before.shape)} and {tuple(after.shape)}"
        )
    return float((before != after).double().mean())


class Generator(nn.Module):
    """Noise that stays the same (B, latent) to one picture (1, C, H, W): a DCGAN generator, its B maps mixed into one.

    Args:
        channels, size: of the picture; the size is 4 times a power of two.
        width: channels before the last layer; every layer before has twice as many.
        maps: B.
        seed: of the weights and of the noise.
    """

    noise: Tensor

    def __init__(
        self, channels: int, size: int, *, width: int = 16, maps: int = 8, latent: int = 100, seed: int = 0
    ) -> None:
        super().__init__()
        widths = [width * 2**i for i in reversed(range(inputs.doublings(size) + 1))]  # 64, 32, 16 for 16 x 16
        with seeded(seed):
            layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], 4, bias=False)]
            for a, b in itertools.pairwise(widths):
                layers += [nn.BatchNorm2d(a), nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False)]
            last, self.mix = nn.Conv2d(width, channels, 3, padding=1), nn.Conv2d(maps, 1, 3, padding=1)
            self.net = nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), last, nn.Tanh())
            self.register_buffer("noise", torch.randn(maps, latent, 1, 1))
            for weight in self.parameters():  # as DCGAN starts: what is clamped at eps gets no gradient
                if weight.ndim > 1:
                    nn.init.normal_(weight, std=0.02)
            for layer in (last, self.mix):
                nn.init.constant_(layer.bias, 0.0)  # type: ignore[arg-type]

    def forward(self) -> Tensor:
        maps = self.net(self.noise)  # (B, C, H, W)
        return self.mix(maps.transpose(0, 1)).transpose(0, 1)  # (1, C, H, W)


def advencoder(
    encoder: Callable[[Tensor], Tensor], images: Tensor, *, eps: float = 10 / 255, mask: Tensor | None = None,
    radius: float = 8.0, alpha: float = 5.0, beta: float = 1.0, lam: float = 1.0, temperature: float = 0.1,
    steps: int = 400, batch_size: int = 256, lr: float = 2e-4, width: int = 16, seed: int = 0,
) -> Tensor:  # fmt: skip
    """One perturbation (1, C, H, W), the same for all pictures, which takes the rows of an encoder from their own pictures.

        delta = clamp(G(z), -eps, eps),   theta of G <- Adam on `advencoder_loss`,   z and the encoder fixed

    What is returned is the tensor: the generator's batch norms would make another one in evaluation mode.

    Args:
        encoder: images -> rows (N, D), frozen: no gradient is left in it, and it is in evaluation mode meanwhile.
        images: (N, C, H, W), uint8 or in [0, 1], N >= 2: a surrogate set, not the one that will be attacked.
        eps: largest change of a pixel.
        mask: (H, W): a patch there instead, with any pixel values; eps is not used.
        radius, alpha, beta, lam, temperature: see `advencoder_loss`.
        steps, batch_size, lr: of Adam, betas (0.5, 0.999).
        width: see `Generator`.
        seed: of the generator and of the batches.

    Raises:
        TypeError, ValueError: pictures out of [0, 1] or fewer than two, a size the generator cannot make, eps < 0.

    Source: Zhou et al. 2023, arXiv 2307.10562. There x' is not clipped to [0, 1]; here it is, as it is in the test.
    """
    x = inputs.checked(to_float(images), "linf", eps, (0.0, 1.0))
    inputs.whole(steps=steps)
    if len(x) < 2:
        raise ValueError("images holds one picture: its rows have to be told from those of others")
    generator = Generator(x.shape[1], x.shape[-1], width=width, seed=seed).to(x.device)
    optimiser = torch.optim.Adam(generator.parameters(), lr=lr, betas=(0.5, 0.999))

    def delta() -> Tensor:
        return generator().clamp(-eps, eps) if mask is None else generator().clamp(0, 1)

    with evaluating(encoder):
        for step in range(steps):
            batch = x[batch_rows(step, len(x), min(batch_size, len(x)), seed)]
            with torch.no_grad():
                clean = encoder(batch)
            after = perturb(batch, delta(), mask)
            loss = advencoder_loss(
                clean, encoder(after), after - batch, radius=radius, alpha=alpha, beta=beta, lam=lam,
                temperature=temperature,
            )  # fmt: skip
            descent.descend(optimiser, loss, step)
    return delta().detach()
