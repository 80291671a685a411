"""RAW: a picture is turned into what a camera's sensor would have measured, and developed again."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import descent
from sslwork.data.pictures import PictureSet
from sslwork.purify.filter import straight_through
from sslwork.seeds import seeded

DARKEST = 1e-6  # linear light, less than half a step of 8 bits: the root has no finite slope at 0


def mosaic(rgb: Tensor) -> Tensor:
    """What a sensor under an RGGB filter keeps of (N, 3, H, W): R, G, G, B of each 2 x 2 pixels, (N, 4, H/2, W/2).

    R at even rows and columns, B at odd ones. `F.pixel_shuffle(planes, 2)` is the mosaic as one picture.
    """
    if rgb.ndim != 4 or rgb.shape[1] != 3 or rgb.shape[2] % 2 or rgb.shape[3] % 2:
        raise ValueError(f"rgb must have shape (N, 3, H, W) with even sides, got {tuple(rgb.shape)}")
    r, g, b = rgb.unbind(1)
    return torch.stack([r[:, ::2, ::2], g[:, ::2, 1::2], g[:, 1::2, ::2], b[:, 1::2, 1::2]], 1)


def demosaic(planes: Tensor) -> Tensor:
    """Bilinear: every missing value is the mean of the nearest sites of its colour; sampled ones stay as they are.

    (N, 4, H/2, W/2) -> (N, 3, H, W); the inverse of `mosaic` on constant pictures.
    """
    if planes.ndim != 4 or planes.shape[1] != 4:
        raise ValueError(f"planes must have shape (N, 4, H/2, W/2), got {tuple(planes.shape)}")
    r, g, h, b = planes.unbind(1)
    none = torch.zeros_like(r)
    quads = torch.stack([r, none, none, none, none, g, h, none, none, none, none, b], 1)
    sites = F.pixel_shuffle(quads, 2)  # (N, 3, H, W), 0 where nothing was measured
    there = torch.zeros_like(quads[:1])
    there[:, [0, 5, 6, 11]] = 1
    near = (
        planes.new_tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]),
        planes.new_tensor([[0, 1, 0], [1, 4, 1], [0, 1, 0]]),
    )
    kernel = torch.stack([near[0], near[1], near[0]])[:, None]  # (3, 1, 3, 3): green has sites at every side
    total, weight = (F.conv2d(x, kernel, padding=1, groups=3) for x in (sites, F.pixel_shuffle(there, 2)))
    return total / weight


@dataclass(frozen=True)
class Camera:
    """A sensor and its fixed development: R(x) = round(mosaic(M (x^gamma / gains)) + noise), and S, its inverse.

    Args:
        gains: white balance of red, green and blue.
        mixing: M, how the sensor's colours see ours; rows sum to 1.
        shot, read: the noise has variance shot * value + read.
        bits: of the sensor.
    """

    gains: Sequence[float] = (1.9, 1.0, 1.7)
    mixing: Sequence[Sequence[float]] = ((0.8, 0.15, 0.05), (0.1, 0.8, 0.1), (0.05, 0.2, 0.75))
    shot: float = 0.01
    read: float = 0.0004
    bits: int = 10
    gamma: float = 2.2

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
        """S: demosaic, colours unmixed, white balance, gamma: planes -> pictures in [0, 1]."""
        seen = demosaic(planes)
        unmix = torch.linalg.inv(torch.tensor(self.mixing, dtype=torch.double)).to(seen)
        light = torch.einsum("ij,njhw->nihw", unmix, seen) * seen.new_tensor(self.gains)[:, None, None]
        return straight_through(light.clamp(DARKEST, 1), light) ** (1 / self.gamma)


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
        to_raw, develop: F and G.
        w: share of the learnt path, 0 to 1.

    Source: Zhang, Dong, Heide 2022, arXiv 2112.09219. F, G and S are the paper's; w, the noise in training and the
    sizes of the nets are ours, and the camera is simulated.
    """

    deterministic = True

    def __init__(
        self, to_raw: nn.Module, develop: nn.Module, *, w: float = 0.7, camera: Camera | None = None
    ) -> None:
        super().__init__()
        if not 0 <= w <= 1:
            raise ValueError(f"w must lie in [0, 1], got {w}")
        self.to_raw, self.learnt, self.w, self.camera = to_raw, develop, w, camera or Camera()

    def stages(self, x: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """F(x), G(F(x)), S(F(x)) and O(x); a generator adds sensor noise to F(x), which the filter itself never does."""
        planes = self.to_raw(x)
        planes = self.camera.read_out(planes if generator is None else self.camera.noisy(planes, generator))
        learnt, fixed = _clip(self.learnt(planes)), self.camera.develop(planes)
        return {"F": planes, "G": learnt, "S": fixed, "O": self.w * learnt + (1 - self.w) * fixed}

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(x)["O"]

    soft = forward


class Autoencoder(nn.Module):
    """The control of equal size: G(F(x)) trained from picture to picture, with four planes in the middle free to be anything."""

    deterministic = True

    def __init__(self, encode: nn.Module, decode: nn.Module) -> None:
        super().__init__()
        self.encode, self.decode = encode, decode

    def forward(self, x: Tensor) -> Tensor:
        return _clip(self.decode(self.encode(x)))

    soft = forward


def fit(
    pictures: PictureSet, *, w: float = 0.7, noise: float = 0.02, camera: Camera | None = None,
    steps: int = 400, batch_size: int = 32, lr: float = 2e-3, seed: int = 0,
) -> Raw:  # fmt: skip
    """Train F (squared error to the noise-free R(x)) and then G (absolute error to x, of a noisy R(x)) on clean pictures.

    Args:
        noise: deviation of the noise on what F sees, in units of [0, 1].
        steps: of each net, by Adam; see `descent.adam`.
    """
    camera = camera or Camera()
    with seeded(seed):
        to_raw, develop = ToRaw(), developer()

    def first(x: Tensor, draw: torch.Generator) -> Tensor:
        return F.mse_loss(to_raw(_noisy(x, noise, draw)), camera.expose(x))

    def second(x: Tensor, draw: torch.Generator) -> Tensor:
        return F.l1_loss(develop(camera.expose(x, draw)), x)

    for i, (loss, net) in enumerate(((first, to_raw), (second, develop))):
        descent.adam(
            loss, net.parameters(), pictures, steps=steps, batch_size=batch_size, lr=lr, seed=2 * seed + i
        )
    return Raw(to_raw, develop, w=w, camera=camera).eval()


def fit_autoencoder(
    pictures: PictureSet, *, noise: float = 0.02, steps: int = 400, batch_size: int = 32, lr: float = 2e-3, seed: int = 0
) -> Autoencoder:  # fmt: skip
    """Train the control: absolute error to x from noisy x, the same nets, pictures, noise and steps."""
    with seeded(seed):
        net = Autoencoder(ToRaw(), developer())

    def loss(x: Tensor, draw: torch.Generator) -> Tensor:
        return F.l1_loss(net.decode(net.encode(_noisy(x, noise, draw))), x)

    descent.adam(loss, net.parameters(), pictures, steps=steps, batch_size=batch_size, lr=lr, seed=2 * seed)
    return net.eval()


def _conv(a: int, b: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(a, b, 3, stride=stride, padding=1), nn.ReLU())


def _clip(x: Tensor) -> Tensor:
    """Into [0, 1]; the gradient passes, lest white paper hides it."""
    return straight_through(x.clamp(0, 1), x)


def _noisy(x: Tensor, noise: float, draw: torch.Generator) -> Tensor:
    return x + noise * torch.randn(x.shape, generator=draw, device=draw.device).to(x)
