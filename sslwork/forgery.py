"""Synthetic pictures from small generators, and a detector which tells them from real ones by its own exits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks, descent, losses, vae
from sslwork.data.pictures import PictureSet, to_float
from sslwork.nets import Classifier, Normalise
from sslwork.schedule import batch_rows, learning_rate
from sslwork.seeds import generator, seeded

REAL = -1  # stands for "made by nobody"
# Of real pictures, how many to make, training steps and a seed: synthetic pictures in [0, 1].
Generator = Callable[[PictureSet, int, int, int], Tensor]


def as_bytes(images: Tensor) -> Tensor:
    """Pictures as uint8. Real and synthetic ones all pass here, so that no file format tells them apart."""
    if not torch.isfinite(images).all():
        raise ValueError(
            "images hold NaN or infinity: a generator has broken down; give it more steps or pictures"
        )
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def principal(pictures: PictureSet, n: int, steps: int, seed: int, *, parts: int = 64) -> Tensor:
    """Draws from the Gaussian of the first `parts` principal components of the pixels. Nothing is trained."""
    if len(pictures) < 2 or parts < 1:
        raise ValueError(f"2 pictures and 1 part or more are needed, got {len(pictures)} and {parts}")
    x = to_float(pictures.images).flatten(1)
    mean = x.mean(0)
    _, s, v = torch.linalg.svd(x - mean, full_matrices=False)
    parts = min(parts, len(s))
    scores = torch.randn(n, parts, generator=generator(seed)) * s[:parts] / (len(x) - 1) ** 0.5
    return (mean + scores @ v[:parts]).clamp(0, 1).view(n, *pictures.images.shape[1:])


def autoencoder(upsampling: str) -> Generator:
    """A variational auto-encoder whose decoder enlarges by "nearest", which leaves a grid, or "bilinear", which blurs."""

    def make(pictures: PictureSet, n: int, steps: int, seed: int) -> Tensor:
        shape = pictures.images.shape[1:]
        model = vae.Small(shape=shape, latent=32, seed=seed)
        model.decoder = _decoder(shape, 32, upsampling, seed)
        vae.fit(model, pictures, steps=steps, seed=seed)
        with torch.no_grad():
            return model.sample(n, generator(seed, 1))

    return make


def _decoder(shape: Sequence[int], latent: int, upsampling: str, seed: int) -> nn.Sequential:
    channels, height, width = shape
    grow = nn.Upsample(scale_factor=2, mode=upsampling)
    with seeded(seed):
        return nn.Sequential(
            nn.Linear(latent, 32 * height * width // 16), nn.ReLU(), nn.Unflatten(1, (32, height // 4, width // 4)),
            grow, nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
            grow, nn.Conv2d(32, channels, 3, padding=1), nn.Sigmoid(),
        )  # fmt: skip


def denoiser(pictures: PictureSet, n: int, steps: int, seed: int, *, levels: int = 10) -> Tensor:
    """Diffusion in ten steps: a network learns to remove noise of every strength; from pure noise it is let down the levels.

    At level t a picture is (1 - t) x + t noise, t in (0, 1]; the network gives x, and the next level mixes its answer
    with the noise that it implies.
    """
    channels = pictures.images.shape[1]
    with seeded(seed):
        net = nn.Sequential(
            Normalise(), nn.PixelUnshuffle(2), nn.Conv2d(4 * (channels + 1), 48, 3, padding=1), nn.ReLU(),
            nn.Conv2d(48, 48, 3, padding=2, dilation=2), nn.ReLU(), nn.Conv2d(48, 48, 3, padding=4, dilation=4), nn.ReLU(),
            nn.Conv2d(48, 4 * channels, 3, padding=1), nn.PixelShuffle(2), nn.Sigmoid(),
        )  # fmt: skip

    def clean(x: Tensor, t: Tensor) -> Tensor:
        return net(torch.cat([x, t.expand(len(x), 1, *x.shape[2:])], 1))

    def loss(x: Tensor, draw: torch.Generator) -> Tensor:
        t = torch.rand(len(x), 1, 1, 1, generator=draw).to(x)
        noise = torch.randn(x.shape, generator=draw).to(x)
        return F.mse_loss(clean((1 - t) * x + t * noise, t), x)

    descent.adam(loss, net.parameters(), pictures, steps=steps, seed=seed)
    draw = generator(seed, 1)
    with torch.no_grad():
        x = torch.randn(n, *pictures.images.shape[1:], generator=draw)
        for level in range(levels, 0, -1):
            t, lower = torch.full((1, 1, 1, 1), level / levels), (level - 1) / levels
            guess = clean(x, t)
            x = (1 - lower) * guess + lower * (x - (1 - t) * guess) / t
    return x


GENERATORS: dict[str, Generator] = {
    "principal components": principal,
    "VAE, nearest": autoencoder("nearest"),
    "VAE, bilinear": autoencoder("bilinear"),
    "diffusion": denoiser,
}


def imaginet(features: Tensor, made_by: Tensor, *, temperature: float = 0.07) -> Tensor:
    """ImagiNet's sum: `selfcon` by real or synthetic over all pictures + `selfcon` by generator over synthetic ones.

    With fewer than two synthetic pictures in the batch the second term is left out.

    Args:
        features: (B, E, D), see `losses.selfcon`.
        made_by: (B,) the generator of each picture, from 0 on, or `forgery.REAL`.

    Source: Boychev and Cholakov 2024, arXiv 2407.20020.
    """
    made = (made_by != REAL).to(features.device)
    value = losses.selfcon(features, made.long(), temperature=temperature)
    if made.sum() >= 2:
        value = value + losses.selfcon(features[made], made_by[made], temperature=temperature)
    return value


def fit(
    model: Classifier, pictures: PictureSet, made_by: Tensor, *, loss: str = "imaginet",
    degrade: Callable[[Tensor, torch.Generator], Tensor] | None = None, steps: int = 300, batch_size: int = 64,
    lr: float = 2e-3, seed: int = 0,
) -> nn.Module:  # fmt: skip
    """Train the body of `model` to tell real from synthetic, by Adam; it is changed in place, its head is left alone.

    Args:
        model: with a sub-exit or more for "imaginet".
        made_by: (N,) see `imaginet`.
        loss: "cross entropy" (of a linear layer on the rows), "supcon" (the last exit alone) or "imaginet" (all exits).
            The contrastive ones have a projection of 128 for each exit, which is thrown away.
        degrade: pictures (B, C, H, W) and a generator -> the same, worse: applied to every batch.

    Returns:
        What was trained beside the model: the layer or the projections.

    Raises:
        ValueError: another loss, one row of `made_by` per picture missing.
        FloatingPointError: the loss is no longer finite.
    """
    kinds = ("cross entropy", "supcon", "imaginet")
    if loss not in kinds:
        raise ValueError(f"loss must be one of {', '.join(kinds)}; got {loss!r}")
    checks.labels(made_by + 1, len(pictures), "made_by + 1")
    width = model.head.in_features
    exits = 1 + len(model.exits)
    with seeded(seed):
        heads = nn.ModuleList(
            [nn.Linear(width, 2)] if loss == "cross entropy"
            else [nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 128)) for _ in range(exits)]
        )  # fmt: skip
    optimiser = torch.optim.Adam([*model.parameters(), *heads.parameters()], lr=lr)
    draw = generator(seed, 121)
    model.train()
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = learning_rate(step, steps, lr)
        rows = batch_rows(step, len(pictures), min(batch_size, len(pictures)), seed)
        x = to_float(pictures.images[rows])
        x = degrade(x, draw) if degrade else x
        descent.descend(optimiser, _loss(loss, model.exit_features(x), heads, made_by[rows]), step)
    model.eval()
    return heads


def _loss(kind: str, rows: Tensor, heads: nn.ModuleList, made_by: Tensor) -> Tensor:
    if kind == "cross entropy":
        return F.cross_entropy(heads[0](rows[:, 0]), (made_by != REAL).long())
    projected = torch.stack([head(rows[:, i]) for i, head in enumerate(heads)], 1)  # (B, E, 128)
    if kind == "supcon":
        return losses.selfcon(projected[:, :1], (made_by != REAL).long())
    return imaginet(projected, made_by)
