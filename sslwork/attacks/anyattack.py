"""AnyAttack: a decoder that turns the embedding of any picture into a small noise which makes others be taken for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks, descent, losses
from sslwork.attacks import inputs
from sslwork.attacks.advencoder import info_nce_rows
from sslwork.data.pictures import to_float
from sslwork.embedding import evaluating
from sslwork.schedule import batch_rows
from sslwork.seeds import generator, seeded

Encode = Callable[[Tensor], Tensor]
COLDEST = 0.07


def temperature_at(step: int, until: int = 10_000) -> float:
    """Falls exponentially from 1 at the first step to 0.07 at `until`, and stays there: exp(step ln(0.07) / until).

    Raises:
        ValueError: a step before the first one, or no steps to fall in.

    >>> print(f"{temperature_at(0):.2f} {temperature_at(5_000):.5f} {temperature_at(20_000):.2f}")
    1.00 0.26458 0.07
    """
    if step < 0 or until < 1:
        raise ValueError(f"step must be 0 or above and until 1 or above, got {step} and {until}")
    return math.exp(math.log(COLDEST) * min(step / until, 1.0))


class Decoder(nn.Module):
    """Embeddings (N, D) to noise (N, C, H, W) within [-eps, eps]: a small map, enlarged step by step.

    Args:
        features: D.
        channels, size: of the noise; the size is 4 times a power of two.
        eps: bound of the noise, by a tanh, so that the clamp of the attack never cuts a gradient off.
        width: channels of the first map.

    The paper's blocks hold linear attention besides; a net for pictures of 16 x 16 has no use for it.
    """

    def __init__(
        self, features: int, channels: int, size: int, *, eps: float, width: int = 64, seed: int = 0
    ) -> None:
        super().__init__()
        self.eps = checks.positive(eps, "eps")
        with seeded(seed):
            layers: list[nn.Module] = [nn.Linear(features, 16 * width), nn.Unflatten(1, (width, 4, 4))]
            for _ in range(inputs.doublings(size)):
                half = max(width // 2, 8)
                layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, half, 3, padding=1, bias=False)]
                layers += [nn.BatchNorm2d(half), nn.LeakyReLU(0.2)]
                width = half
            self.net = nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1), nn.Tanh())

    def forward(self, rows: Tensor) -> Tensor:
        return self.eps * self.net(rows)  # (N, C, H, W)


def carry(images: Tensor, noise: Tensor, eps: float) -> Tensor:
    """x_adv = clip(x + clamp(n, -eps, eps), 0, 1), (N, C, H, W): the carriers, each with its noise."""
    return (images + noise.clamp(-eps, eps)).clamp(0, 1)


def anyattack_loss(
    encoder: Encode, decoder: Decoder, images: Tensor, orders: Tensor, *, temperature: float
) -> Tensor:
    """Of the pretraining without labels: InfoNCE of the targets' embeddings with those of their noise on other pictures.

        e = E(x) without gradient,   n = D(e),   e'_i = mean_c E(clip(n_i + x_{pi_c(i)}, 0, 1)),   InfoNCE(e, e')

    Only the carriers are permuted: row i carries target i.

    Args:
        images: (B, C, H, W) in [0, 1], targets and carriers at once.
        orders: (K, B) whole numbers, one permutation of the batch for each of the K carriers.
        temperature: > 0.
    """
    with torch.no_grad():
        targets = encoder(images)  # (B, D)
    noise = decoder(targets)
    seen = torch.stack([encoder(carry(images[order], noise, decoder.eps)) for order in orders]).mean(0)
    return info_nce_rows(targets, seen, temperature=temperature)


def pretrain(
    encoder: Encode, images: Tensor, *, eps: float = 16 / 255, carriers: int = 5, steps: int = 350, batch_size: int = 600,
    lr: float = 1e-4, until: int = 10_000, restart: int = 5_000, width: int = 64, seed: int = 0,
) -> Decoder:  # fmt: skip
    """A decoder trained without labels on one encoder, by `anyattack_loss`; in evaluation mode.

    Args:
        encoder: images -> rows (N, D), frozen: no gradient is left in it, and it is in evaluation mode meanwhile.
        images: (N, C, H, W), uint8 or in [0, 1], N >= 2.
        eps: largest change of a pixel.
        carriers: K, pictures on which each noise is tried in a step.
        steps, batch_size, lr, restart: of AdamW; the rate falls by a cosine and starts anew every `restart` steps.
        until: step at which the temperature has fallen to 0.07.
        width: see `Decoder`.
        seed: of the decoder, the batches and the permutations.

    Raises:
        TypeError, ValueError: pictures out of [0, 1] or fewer than two, a size that the decoder cannot make, eps <= 0.

    Source: Zhang et al. 2024, arXiv 2410.05346.
    """
    x = inputs.checked(to_float(images), "linf", eps, (0.0, 1.0))
    batch = _batch(x, batch_size, steps, carriers)
    with evaluating(encoder), torch.no_grad():
        features = encoder(x[:2]).shape[1]
    decoder = Decoder(features, x.shape[1], x.shape[-1], eps=eps, width=width, seed=seed).to(x.device)
    draw = generator(seed, 103)

    def loss(step: int) -> Tensor:
        rows = batch_rows(step, len(x), batch, seed)
        orders = torch.stack([torch.randperm(batch, generator=draw) for _ in range(carriers)])
        return anyattack_loss(encoder, decoder, x[rows], orders, temperature=temperature_at(step, until))

    return _train(decoder, [encoder], loss, steps, lr, restart)


def finetune(
    decoder: Decoder, encoder: Encode, auxiliaries: Sequence[Encode], targets: Tensor, carriers: Tensor, *,
    direct: bool = False, steps: int = 100, batch_size: int = 50, lr: float = 1e-4, restart: int = 5_000, seed: int = 0,
) -> Decoder:  # fmt: skip
    """Goes on with a decoder, against several encoders at once; the noise is still made from `encoder`'s rows only.

    The loss is the sum over all encoders of `losses.info_nce` at temperature 0.07, which is the mean of both
    directions; or of -cosine if `direct`.

    Args:
        decoder: from `pretrain`; it is changed, and returned.
        auxiliaries: encoders of any width.
        targets, carriers: (N, C, H, W) and (M, C, H, W), uint8 or in [0, 1]: of two sets.
        direct: see above.

    Raises:
        TypeError, ValueError: as `pretrain`.
    """
    x, others = (
        inputs.checked(to_float(each), "linf", decoder.eps, (0.0, 1.0)) for each in (targets, carriers)
    )
    batch, draw = _batch(x, batch_size, steps, 1), generator(seed, 104)
    everyone = [encoder, *auxiliaries]

    def loss(step: int) -> Tensor:
        wanted = x[batch_rows(step, len(x), batch, seed)]
        drawn = others[torch.randint(len(others), (len(wanted),), generator=draw)]
        with torch.no_grad():
            rows = [each(wanted) for each in everyone]
        seen = carry(drawn, decoder(rows[0]), decoder.eps)
        pairs = [(each(seen), row) for each, row in zip(everyone, rows, strict=True)]
        return torch.stack([direct_loss(*pair) if direct else losses.info_nce(*pair, temperature=COLDEST)
                            for pair in pairs]).sum()  # fmt: skip

    return _train(decoder, everyone, loss, steps, lr, restart)


def direct_loss(seen: Tensor, targets: Tensor) -> Tensor:
    """Minus the mean cosine of rows (N, D): -1 if and only if all are parallel."""
    checks.pair(seen, targets, ("seen", "targets"), rows=1)
    return -F.cosine_similarity(seen, targets, dim=1).mean()


def retrieved(seen: Tensor, gallery: Tensor) -> Tensor:
    """The nearest row of `gallery` (M, D) for each of `seen` (N, D), by cosine: (N,) whole numbers.

    Raises:
        TypeError, ValueError: no rows, NaN, rows of two widths.
    """
    for name, rows in (("seen", seen), ("gallery", gallery)):
        checks.embeddings(rows, name, rows=1)
    if seen.shape[1] != gallery.shape[1]:
        shapes = f"{tuple(seen.shape)} and {tuple(gallery.shape)}"
        raise ValueError(f"seen and gallery must be rows of one width, got {shapes}")
    return (F.normalize(seen, dim=1) @ F.normalize(gallery, dim=1).T).argmax(1)


def _batch(x: Tensor, batch_size: int, steps: int, carriers: int) -> int:
    inputs.whole(steps=steps, batch_size=batch_size, carriers=carriers)
    if len(x) < 2 or batch_size < 2:
        raise ValueError(
            f"a target has to be told from others: 2 pictures or more in a set of {len(x)} and a batch of {batch_size}"
        )
    return min(batch_size, len(x))


def _train(
    decoder: Decoder, frozen: Sequence[Encode], loss: Callable[[int], Tensor], steps: int, lr: float, restart: int
) -> Decoder:  # fmt: skip
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimiser, restart)
    decoder.train()
    with ExitStack() as stack:
        for encoder in frozen:
            stack.enter_context(evaluating(encoder))
        for step in range(steps):
            descent.descend(optimiser, loss(step), step)
            schedule.step()
    return decoder.eval()
