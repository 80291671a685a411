"""A simulated camera: what an RGGB sensor would have measured of a picture, and its fixed development."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.purify.filter import straight_through

DARK = 0.02  # linear light; below it the slope of the root, infinite at 0, is held: an attack would follow nothing else


def mosaic(rgb: Tensor) -> Tensor:
    """What a sensor under an RGGB filter keeps of (N, 3, H, W): R, G, G, B of each 2 x 2 pixels, (N, 4, H/2, W/2).

    R at even rows and columns, B at odd ones. `F.pixel_shuffle(planes, 2)` is the mosaic as one picture.

    Raises:
        ValueError: another shape, or odd sides.
    """
    if rgb.ndim != 4 or rgb.shape[1] != 3 or rgb.shape[2] % 2 or rgb.shape[3] % 2:
        raise ValueError(f"rgb must have shape (N, 3, H, W) with even sides, got {tuple(rgb.shape)}")
    r, g, b = rgb.unbind(1)
    return torch.stack([r[:, ::2, ::2], g[:, ::2, 1::2], g[:, 1::2, ::2], b[:, 1::2, 1::2]], 1)


def sites(planes: Tensor) -> Tensor:
    """Planes (N, 4, H/2, W/2) as the sensor has them, (N, 3, H, W): every value at its site, in its colour, 0 elsewhere."""
    if planes.ndim != 4 or planes.shape[1] != 4:
        raise ValueError(f"planes must have shape (N, 4, H/2, W/2), got {tuple(planes.shape)}")
    r, g, h, b = planes.unbind(1)
    none = torch.zeros_like(r)
    return F.pixel_shuffle(torch.stack([r, none, none, none, none, g, h, none, none, none, none, b], 1), 2)


def demosaic(planes: Tensor) -> Tensor:
    """Bilinear: every missing value is the mean of the nearest sites of its colour; sampled ones stay as they are.

    (N, 4, H/2, W/2) -> (N, 3, H, W); the inverse of `mosaic` on constant pictures.
    """
    near = planes.new_tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
    plus = planes.new_tensor([[0, 1, 0], [1, 4, 1], [0, 1, 0]])  # green has sites at every side
    kernel = torch.stack([near, plus, near])[:, None]  # (3, 1, 3, 3)
    measured, there = sites(planes), sites(torch.ones_like(planes[:1]))
    total, weight = (F.conv2d(x, kernel, padding=1, groups=3) for x in (measured, there))
    return total / weight


@dataclass(frozen=True)
class Camera:
    """A sensor and its fixed development: R(x) = round(mosaic(M (x^gamma / gains)) + noise), and S, its inverse.

    Args:
        gains: white balance of red, green and blue.
        mixing: M, how the sensor's colours see ours; rows sum to 1.
        shot, read: the noise has variance shot * value + read.
        bits: of the sensor.

    Raises:
        ValueError: rows of mixing that do not sum to 1; bits, a gamma or gains not above 0; a negative noise.
    """

    gains: Sequence[float] = (1.9, 1.0, 1.7)
    mixing: Sequence[Sequence[float]] = ((0.8, 0.15, 0.05), (0.1, 0.8, 0.1), (0.05, 0.2, 0.75))
    shot: float = 0.01
    read: float = 0.0004
    bits: int = 10
    gamma: float = 2.2

    def __post_init__(self) -> None:
        for name, value in {
            "bits": self.bits,
            "gamma": self.gamma,
            "the least gain": min(self.gains),
        }.items():
            checks.positive(value, name)
        checks.not_negative(shot=self.shot, read=self.read)
        sums = [round(sum(row), 6) for row in self.mixing]
        if sums != [1, 1, 1]:
            raise ValueError(f"three rows of mixing must sum to 1, that grey stays grey; got {sums}")

    def expose(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """R(x): pictures (N, 3, H, W) in [0, 1] -> planes (N, 4, H/2, W/2) in [0, 1]; without a generator no noise."""
        light = x.clamp(0, 1) ** self.gamma / x.new_tensor(self.gains)[:, None, None]
        planes = mosaic(torch.einsum("ij,njhw->nihw", x.new_tensor(self.mixing), light.clamp(0, 1)))
        return self.read_out(planes if generator is None else self.noisy(planes, generator))

    def noisy(self, planes: Tensor, generator: torch.Generator) -> Tensor:
        """Shot and read noise on planes."""
        drawn = torch.randn(planes.shape, generator=generator, device=generator.device).to(planes)
        return planes + (self.shot * planes.clamp(min=0) + self.read).sqrt() * drawn

    def read_out(self, planes: Tensor) -> Tensor:
        """Clipped and rounded to `bits`; the gradient passes straight through."""
        steps = 2**self.bits - 1
        return straight_through((planes.clamp(0, 1) * steps).round() / steps, planes)

    def develop(self, planes: Tensor) -> Tensor:
        """S: demosaic, colours unmixed, white balance, clipping, gamma: planes -> pictures in [0, 1].

        The gradient passes the clipping, and that of gamma stays finite in the dark.
        """
        seen = demosaic(planes)
        unmix = torch.linalg.inv(torch.tensor(self.mixing, dtype=torch.double)).to(seen)
        light = torch.einsum("ij,njhw->nihw", unmix, seen) * seen.new_tensor(self.gains)[:, None, None]
        slope = light.detach().clamp(DARK, 1) ** (1 / self.gamma - 1) / self.gamma
        return straight_through(light.clamp(0, 1) ** (1 / self.gamma), slope * light)
