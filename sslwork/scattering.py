"""Wavelet scattering: a convolutional network of two layers whose filters are known, and never learn.

Mallat 2012, arXiv 1101.2286; for pictures Bruna and Mallat 2013, arXiv 1203.1513.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def gaussian(side: int, sigma: float) -> Tensor:
    """A Gaussian of unit sum around place 0 of a ring of `side` pixels, (side,) float64: wrapped round, not cut off."""
    turns = torch.arange(-4, 5, dtype=torch.double)[:, None] * side
    line = (-((torch.arange(side) + turns) ** 2) / (2 * sigma**2)).exp().sum(0)
    return line / line.sum()


def morlet(side: int, sigma: float, frequency: float, angle: float, slant: float) -> Tensor:
    r"""A wave under a Gaussian window around place (0, 0) of a torus of side x side pixels, (side, side) complex128.

        psi(u) = slant / (2 pi sigma^2) exp(-(a^2 + slant^2 b^2) / (2 sigma^2)) (exp(i frequency a) - kappa)

    with a the part of u along `angle`, b the part across it, and kappa such that psi has no mean.

    Args:
        side: pixels of the torus; what reaches over its edge comes in again at the other.
        sigma: width of the window along the wave, pixels.
        frequency: radians per pixel.
        angle: of the wave, radians; 0 is along the rows of pixels, from left to right.
        slant: above 0; below 1 the window is longer across the wave.
    """
    places = torch.arange(-4 * side, 5 * side, dtype=torch.double)
    down, across = places[:, None], places[None]
    along = across * math.cos(angle) + down * math.sin(angle)
    beside = down * math.cos(angle) - across * math.sin(angle)
    window = (-(along.square() + slant**2 * beside.square()) / (2 * sigma**2)).exp()
    wave = window * torch.exp(1j * frequency * along)
    wave, window = (each.view(9, side, 9, side).sum((0, 2)) for each in (wave, window))
    return (wave - wave.sum() / window.sum() * window) * slant / (2 * math.pi * sigma**2)


class Scattering(nn.Module):
    r"""Wavelet scattering up to the second order: (N, C, H, W) -> (N, C K, H / 2^J, W / 2^J), K = 1 + L J + L^2 J (J - 1) / 2.

        S0 = x * phi,   S1(j, l) = |x * psi_jl| * phi,   S2(j, l, j', l') = ||x * psi_jl| * psi_j'l'| * phi, j' > j

    with Morlet wavelets of scale 0.8 2^j, frequency (3 pi / 4) / 2^j and angles (L / 2 - 1 - l) pi / L, j = 0..J - 1,
    l = 0..L - 1, and phi a Gaussian of scale 0.8 2^(J - 1); every 2^J-th place is kept. The picture is mirrored at its
    edges. Nothing here can be trained. `psi` (J L, side, side) and `phi` (side, side) hold the Fourier transforms,
    `paths` names what each of the K channels is: (), ((j, l),) or ((j, l), (j', l')).

    Args:
        scales: J, octaves; 2 ** J must divide the sides of the picture.
        angles: L.
        size: side of the pictures, pixels.

    Raises:
        ValueError: scales or angles below 1, pictures of another size, a size that 2 ** J does not divide.

    Source: as in ScatSimCLR, Kinakh, Taran, Voloshynovskiy 2021, arXiv 2108.13939.

    >>> scattering = Scattering(2, 4, size=16)
    >>> scattering(torch.ones(1, 1, 16, 16)).shape, scattering.channels
    (torch.Size([1, 25, 4, 4]), 25)
    """

    psi: Tensor
    phi: Tensor
    blur: Tensor

    def __init__(self, scales: int = 2, angles: int = 4, *, size: int) -> None:
        super().__init__()
        if scales < 1 or angles < 1:
            raise ValueError(f"scales and angles must be at least 1, got scales={scales}, angles={angles}")
        step = 2**scales
        if size < 2 * step or size % step:
            raise ValueError(
                f"size must be a multiple of 2 ** scales = {step}, twice that at least; got {size}"
            )
        self.scales, self.angles, self.size = scales, angles, size
        self.margin = step
        side = size + 2 * self.margin
        turns = [(angles // 2 - 1 - each) * math.pi / angles for each in range(angles)]
        psi = torch.stack([
            morlet(side, 0.8 * 2**j, 0.75 * math.pi / 2**j, turn, 4 / angles) for j in range(scales) for turn in turns
        ])  # fmt: skip
        # A Morlet wavelet is Hermitian, psi(-u) = conj psi(u), so its transform is real.
        self.register_buffer("psi", torch.fft.fft2(psi).real.float(), persistent=False)
        line = gaussian(side, 0.8 * 2 ** (scales - 1))
        low = torch.fft.fft(line).real
        self.register_buffer("phi", (low[:, None] * low).float(), persistent=False)
        kept = torch.arange(self.margin, side - self.margin, step)
        blur = line[
            (kept[:, None] - torch.arange(side)) % side
        ]  # phi is the product of this one line, down and across
        self.register_buffer("blur", blur.float(), persistent=False)  # (size / 2^J, side)
        each = [(j, turn) for j in range(scales) for turn in range(angles)]
        self.paths = [(), *((one,) for one in each), *((a, b) for a in each for b in each if b[0] > a[0])]

    @property
    def channels(self) -> int:
        """K: of each channel of a picture so many are made."""
        return len(self.paths)

    def forward(self, images: Tensor) -> Tensor:
        n, channels, *sides = images.shape
        if sides != [self.size, self.size]:
            raise ValueError(
                f"this scattering was made for pictures of {self.size} x {self.size}, got {tuple(images.shape)}"
            )
        # FFTs know no half precision.
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            x = F.pad(
                images.flatten(0, 1)[:, None].to(self.phi.dtype), [self.margin] * 4, mode="reflect"
            )  # (N C, 1, side, side)
            first = self._moduli(x, self.psi)  # (N C, J L, side, side)
            orders = [x, first]
            for j in range(self.scales - 1):
                low, high = j * self.angles, (j + 1) * self.angles
                orders.append(self._moduli(first[:, low:high, None], self.psi[high:]).flatten(1, 2))
            s = torch.cat([self.blur @ order @ self.blur.T for order in orders], 1)
            return s.view(n, channels * self.channels, *s.shape[2:])

    @staticmethod
    def _moduli(x: Tensor, psi: Tensor) -> Tensor:
        """|x * psi| on the torus: (..., 1, side, side) and (P, side, side) -> (..., P, side, side)."""
        return torch.fft.ifft2(torch.fft.fft2(x) * psi).abs()


def frame_bound(scattering: Scattering) -> Tensor:
    """|phi(w)|^2 + 1/2 sum over wavelets of |psi(w)|^2 + |psi(-w)|^2, (side, side): at most 1 where S does not expand."""
    power = scattering.psi.double().square().sum(0)
    mirrored = power.flip(0, 1).roll((1, 1), (0, 1))
    return scattering.phi.double().square() + (power + mirrored) / 2
