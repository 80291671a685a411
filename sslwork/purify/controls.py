"""Filters that anyone has at hand. A purifier has to beat them, or it is one of them."""

import io
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks


class Control:
    """A fixed filter with a gradient of its own: nothing is learnt, and nothing drawn."""

    deterministic = True

    def __call__(self, x: Tensor) -> Tensor:
        """The pictures as they are."""
        return x

    def soft(self, x: Tensor) -> Tensor:
        return self(x)


@dataclass(frozen=True)
class Median(Control):
    """The median of `size` x `size` pixels, odd, in each channel; the edges are repeated."""

    size: int = 3

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise ValueError(f"size must be odd, 1 or more, that the picture keeps its size; got {self.size}")

    def __call__(self, x: Tensor) -> Tensor:
        padded = F.pad(x, [self.size // 2] * 4, mode="replicate")
        windows = padded.unfold(2, self.size, 1).unfold(3, self.size, 1)  # (N, C, H, W, size, size)
        return windows.flatten(-2).median(-1).values


@dataclass(frozen=True)
class Blur(Control):
    """A Gaussian of deviation `sigma` pixels, cut off at three; the edges are repeated."""

    sigma: float = 0.7

    def __post_init__(self) -> None:
        checks.positive(self.sigma, "sigma")

    def __call__(self, x: Tensor) -> Tensor:
        reach = max(1, round(3 * self.sigma))
        places = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
        kernel = torch.softmax(-places.square() / (2 * self.sigma**2), 0)
        plane = F.pad(x, [reach] * 4, mode="replicate").flatten(0, 1)[:, None]  # (N C, 1, H', W')
        return F.conv2d(F.conv2d(plane, kernel[None, None, None]), kernel[None, None, :, None]).reshape(
            x.shape
        )


@dataclass(frozen=True)
class DownUp(Control):
    """Means over `factor` x `factor` pixels, enlarged again by bilinear weights."""

    factor: int = 2

    def __post_init__(self) -> None:
        checks.positive(self.factor, "factor")

    def __call__(self, x: Tensor) -> Tensor:
        return F.interpolate(F.avg_pool2d(x, self.factor), size=x.shape[-2:], mode="bilinear")


class Rounding(Control):
    """A filter of steps. Its own gradient is 0 nearly everywhere; the attacker takes the identity's."""

    def soft(self, x: Tensor) -> Tensor:
        return x


@dataclass(frozen=True)
class BitDepth(Rounding):
    """2^bits values per channel. Source: Xu, Evans, Qi 2017 (feature squeezing), arXiv 1704.01155."""

    bits: int = 4

    def __post_init__(self) -> None:
        checks.positive(self.bits, "bits")

    def __call__(self, x: Tensor) -> Tensor:
        steps = 2**self.bits - 1
        return (x * steps).round() / steps


@dataclass(frozen=True)
class Jpeg(Rounding):
    """Written as JPEG of this quality (1 to 95) by Pillow, and read again."""

    quality: int = 75

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 95:
            raise ValueError(f"quality must lie in 1..95, got {self.quality}")

    def __call__(self, x: Tensor) -> Tensor:
        from PIL import Image

        if x.isnan().any():  # bytes know no NaN: it would come out black
            raise ValueError("x holds NaN; look at torch.isfinite(x).flatten(1).all(1)")
        pixels = (x.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()

        def one(picture: np.ndarray) -> np.ndarray:
            file = io.BytesIO()
            Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture).save(
                file, "JPEG", quality=self.quality
            )
            return np.asarray(Image.open(file)).reshape(picture.shape)

        return torch.from_numpy(np.stack([one(each) for each in pixels])).permute(0, 3, 1, 2).to(x) / 255
