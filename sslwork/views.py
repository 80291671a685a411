"""Views: random changes of a picture that should not change what it is. Whole batches at once, on the device."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from sslwork.data.pictures import to_float
from sslwork.warp import affine

# Red, green and blue as the eye weighs them (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)

# The largest strength of each change.
LIMITS = {
    "crop": 0.95, "flip": 1.0, "rotate": 180.0, "brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.5,
    "grey": 1.0, "noise": 1.0, "cutout": 0.95,
}  # fmt: skip


@dataclass(frozen=True)
class Views:
    """How strongly a view may differ from its picture. 0 switches a change off.

    Args:
        crop: up to this share of the area is cut away (0..0.95), shape up to 3:4.
        flip: probability of a mirror image.
        rotate: largest turn to either side, degrees.
        brightness, contrast, saturation: factor drawn from 1 - s to 1 + s (0..1).
        hue: largest turn of the colour circle, as a share of it (0..0.5).
        grey: probability of losing all colour.
        noise: largest standard deviation of pixel noise.
        cutout: side of a square erased somewhere inside, as a share of the picture's (0..0.95). It is filled with the
            mean colour of the view's rim, so that it looks like background where there is one.

    Random numbers are drawn per picture by `draw` and used by `apply`: with the same draw, moving one strength moves
    the pictures smoothly, and nothing else changes.
    """

    crop: float = 0.65
    flip: float = 0.5
    rotate: float = 45.0
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    hue: float = 0.03
    grey: float = 0.1
    noise: float = 0.0
    cutout: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value <= LIMITS[name]:
                raise ValueError(f"{name} must lie in 0..{LIMITS[name]:g}, got {value}")

    def __mul__(self, strength: float) -> Views:
        """All changes at `strength` times their size, each held at its limit."""
        return Views(**{name: min(value * strength, LIMITS[name]) for name, value in asdict(self).items()})

    def draw(self, images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The random numbers of one view of each picture: name -> (N,) in [0, 1), and the pixel noise.

        What is off by default draws last, and only if it is on: then the others get the same numbers as ever.
        """
        n = len(images)
        names = [
            "area",
            "shape",
            "x",
            "y",
            "flip",
            "turn",
            "brightness",
            "contrast",
            "saturation",
            "hue",
            "grey",
        ]
        uniform = torch.rand(len(names), n, generator=generator, device=generator.device).to(images.device)
        drawn = dict(zip(names, uniform, strict=True))
        if self.noise:
            drawn["noise"] = torch.randn(images.shape, generator=generator, device=generator.device).to(
                images.device
            )
        if self.cutout:
            place = torch.rand(2, n, generator=generator, device=generator.device).to(images.device)
            drawn |= {"cut_x": place[0], "cut_y": place[1]}
        return drawn

    def several(self, images: Tensor, count: int, generator: torch.Generator) -> list[dict[str, Tensor]]:
        """The random numbers of so many independent views of each picture."""
        return [self.draw(images, generator) for _ in range(count)]

    def apply(self, images: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        """The views which these random numbers give: (N, C, H, W), uint8 or in [0, 1] -> floating point in [0, 1]."""
        images = to_float(images).expand(-1, 3, -1, -1)  # a grey channel stands for all three
        images = self._move(images, drawn)
        if self.cutout:
            images = self._erase(images, drawn)
        images = self._colour(images, drawn)
        if self.noise:
            images = images + self.noise * drawn["noise"]
        return images.clamp_(0, 1)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """One new view of each picture."""
        return self.apply(images, self.draw(images, generator))

    def pair(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two independent views of each picture."""
        return self(images, generator), self(images, generator)

    def _move(self, images: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        area = 1 - self.crop * drawn["area"]
        shape = torch.exp((2 * drawn["shape"] - 1) * math.log(4 / 3) * min(1.0, 2 * self.crop)).sqrt()
        width, height = (area.sqrt() * shape).clamp(max=1), (area.sqrt() / shape).clamp(max=1)
        x, y = (1 - width) * (2 * drawn["x"] - 1), (1 - height) * (2 * drawn["y"] - 1)
        width = torch.where(drawn["flip"] < self.flip, -width, width)
        angle = math.radians(self.rotate) * (2 * drawn["turn"] - 1)
        # Without a turn nothing from outside is seen, and "border" is the faster rule.
        padding = "reflection" if self.rotate else "border"
        return affine(images, angle=angle, width=width, height=height, x=x, y=y, padding_mode=padding)

    def _erase(self, images: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        rim = torch.cat([images[:, :, 0], images[:, :, -1], images[..., 0], images[..., -1]], dim=-1).mean(-1)
        down = _covered(drawn["cut_y"], self.cutout, images.shape[2])  # (N, H)
        across = _covered(drawn["cut_x"], self.cutout, images.shape[3])  # (N, W)
        return images.lerp(rim[..., None, None], (down[:, :, None] * across[:, None])[:, None])

    def _colour(self, images: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        """Every change of colour is linear in (red, green, blue), so one matrix and one offset per picture do all."""

        def factor(name: str) -> Tensor:
            return (1 + getattr(self, name) * (2 * drawn[name] - 1))[:, None, None]  # (N, 1, 1)

        brightness, contrast, saturation = factor("brightness"), factor("contrast"), factor("saturation")
        saturation = torch.where((drawn["grey"] < self.grey)[:, None, None], 0.0, saturation)
        luma = images.new_tensor(_LUMA).expand(3, 3)
        matrix = saturation * torch.eye(3, device=images.device) + (1 - saturation) * luma  # (N, 3, 3)
        matrix = matrix @ _turn_about_grey(2 * math.pi * self.hue * (2 * drawn["hue"] - 1))
        # Contrast stretches about the mean, a grey; the rows of the matrix sum to one, so it leaves greys alone.
        mean = brightness * images.mean((1, 2, 3))[:, None, None]
        matrix = contrast * brightness * matrix
        return torch.baddbmm((1 - contrast) * mean, matrix, images.flatten(2)).view_as(images)


def _covered(place: Tensor, side: float, pixels: int) -> Tensor:
    """How much of each pixel of a line lies under a stretch of this share of it: (N,) in [0, 1) -> (N, pixels)."""
    start = (place * (1 - side) * pixels)[:, None]
    edge = torch.arange(pixels, device=place.device)
    return (torch.minimum(start + side * pixels, edge + 1) - torch.maximum(start, edge)).clamp_(0)


def _turn_about_grey(angle: Tensor) -> Tensor:
    """Rotations of colour space about its grey axis (Rodrigues' formula): (N,) radians -> (N, 3, 3)."""
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    across = angle.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    return cos * torch.eye(3, device=angle.device) + (1 - cos) / 3 + sin * across


# Handwriting is neither mirrored nor coloured: small turns and crops, and a part of the strokes missing.
DIGITS = Views(
    crop=0.4,
    flip=0.0,
    rotate=20.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    hue=0.0,
    grey=0.0,
    cutout=0.3,
)
