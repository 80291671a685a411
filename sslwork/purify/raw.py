"""RAW: a picture is turned into what a camera's sensor would have measured, and developed again."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import descent
from sslwork.data.pictures import PictureSet
from sslwork.purify.camera import Camera
from sslwork.purify.filter import straight_through
from sslwork.seeds import seeded


class ToRaw(nn.Module):
    """F: a U-Net of three levels (16, 32, 64 channels) that ends at half resolution: (N, 3, H, W) -> (N, 4, H/2, W/2)."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.lower, self.lowest = _conv(3, 16), _conv(16, 32, 2), _conv(32, 64, 2)
        self.merge = nn.Sequential(_conv(64 + 32, 32), nn.Conv2d(32, 4, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        half = self.lower(self.down(x))
        deep = F.interpolate(self.lowest(half), size=half.shape[-2:])
        return self.merge(torch.cat([half, deep], 1))


def developer() -> nn.Sequential:
    """G: two convolutions of 32 channels, then pixels shuffled to full resolution: (N, 4, H/2, W/2) -> (N, 3, H, W)."""
    return nn.Sequential(_conv(4, 32), _conv(32, 32), nn.Conv2d(32, 12, 3, padding=1), nn.PixelShuffle(2))


class Raw(nn.Module):
    """O(x) = w G(F(x)) + (1 - w) S(F(x)): a filter that knows no task, no classifier and no attack.

    F guesses the sensor's values, G develops them by what it learnt, S by the camera's fixed steps. F(x) is rounded to
    the sensor's bits, with the gradient straight through, so that the filter is its own `soft` form.

    Args:
        w: share of the learnt path, 0 to 1.
        camera: the sensor.
        seed: of the weights.

    Raises:
        ValueError: w outside [0, 1]; pictures that are not (N, 3, H, W) with sides that are multiples of 4.

    Source: Zhang, Dong, Heide 2022, arXiv 2112.09219. F, G and S are the paper's; w, the noise in training and the
    sizes of the nets are ours, and the camera is simulated.
    """

    deterministic = True

    def __init__(self, *, w: float = 0.7, camera: Camera | None = None, seed: int = 0) -> None:
        super().__init__()
        if not 0 <= w <= 1:
            raise ValueError(f"w must lie in [0, 1], got {w}")
        self.w, self.camera = w, camera or Camera()
        with seeded(seed):
            self.to_raw, self.learnt = ToRaw(), developer()

    def stages(self, x: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """F(x), G(F(x)), S(F(x)) and O(x); a generator adds sensor noise to F(x), which the filter itself never does."""
        planes = self.to_raw(x)
        planes = self.camera.read_out(planes if generator is None else self.camera.noisy(planes, generator))
        learnt, fixed = _clip(self.learnt(planes)), self.camera.develop(planes)
        return {"F": planes, "G": learnt, "S": fixed, "O": self.w * learnt + (1 - self.w) * fixed}

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(x)["O"]

    def soft(self, x: Tensor) -> Tensor:
        return self(x)


class Autoencoder(nn.Module):
    """The control of equal size: the same nets, G(F(x)), with four planes in the middle that are free to be anything."""

    deterministic = True

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__()
        with seeded(seed):
            self.encode, self.decode = ToRaw(), developer()

    def forward(self, x: Tensor) -> Tensor:
        return _clip(self.decode(self.encode(x)))

    def soft(self, x: Tensor) -> Tensor:
        return self(x)


def fit(
    model: Raw, pictures: PictureSet, *, noise: float = 0.02, steps: int = 400, batch_size: int = 32, lr: float = 2e-3,
    seed: int = 0,
) -> dict[str, list[float]]:  # fmt: skip
    """Train F (squared error to the noise-free R(x)) and then G (absolute error to x, of a noisy R(x)) on clean pictures.

    Args:
        model: changed in place.
        noise: deviation of the noise on what F sees, in units of [0, 1].
        steps: of each net, by Adam; see `descent.adam`.

    Returns:
        The losses, "F" and "G".
    """

    def first(x: Tensor, draw: torch.Generator) -> Tensor:
        return F.mse_loss(model.to_raw(_noisy(x, noise, draw)), model.camera.expose(x))

    def second(x: Tensor, draw: torch.Generator) -> Tensor:
        return F.l1_loss(model.learnt(model.camera.expose(x, draw)), x)

    shared: dict[str, Any] = {"steps": steps, "batch_size": batch_size, "lr": lr}
    losses = {
        "F": descent.adam(first, model.to_raw.parameters(), pictures, seed=2 * seed, **shared),
        "G": descent.adam(second, model.learnt.parameters(), pictures, seed=2 * seed + 1, **shared),
    }
    model.eval()
    return losses


def fit_autoencoder(
    model: Autoencoder, pictures: PictureSet, *, noise: float = 0.02, steps: int = 400, batch_size: int = 32,
    lr: float = 2e-3, seed: int = 0,
) -> list[float]:  # fmt: skip
    """Train the control: absolute error to x from noisy x; arguments as for `fit`."""

    def loss(x: Tensor, draw: torch.Generator) -> Tensor:
        return F.l1_loss(model.decode(model.encode(_noisy(x, noise, draw))), x)

    losses = descent.adam(
        loss, model.parameters(), pictures, steps=steps, batch_size=batch_size, lr=lr, seed=2 * seed
    )
    model.eval()
    return losses


def _conv(a: int, b: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(a, b, 3, stride=stride, padding=1), nn.ReLU())


def _clip(x: Tensor) -> Tensor:
    """Into [0, 1]; the gradient passes, lest white paper hides it."""
    return straight_through(x.clamp(0, 1), x)


def _noisy(x: Tensor, noise: float, draw: torch.Generator) -> Tensor:
    return x + noise * torch.randn(x.shape, generator=draw, device=draw.device).to(x)
