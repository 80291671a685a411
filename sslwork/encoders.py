"""Encoders: pictures (N, C, H, W) in [0, 1] to representations (N, D). Each has `out_features` = D."""

import itertools

import torch
from torch import Tensor, nn

from sslwork.scattering import Scattering
from sslwork.seeds import seeded


class Encoder(nn.Module):
    """A network that says how wide its output is, and what was wrong with a batch it cannot take."""

    def __init__(self, net: nn.Module, out_features: int, channels: int = 3) -> None:
        super().__init__()
        # Channels last is the faster order for convolutions, on CPUs and GPUs.
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.out_features, self.channels = out_features, channels

    def forward(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != self.channels:
            raise ValueError(
                f"images must have shape (N, {self.channels}, H, W), got {tuple(images.shape)}; "
                "add a batch dimension with images[None], repeat a grey channel with images.expand(-1, 3, -1, -1)"
            )
        if not images.is_floating_point():
            raise TypeError(
                f"images must be floating point in [0, 1], got {images.dtype}; use images.float() / 255"
            )
        # A network made .double() takes them so.
        dtype = next((weight.dtype for weight in self.parameters()), images.dtype)
        return self.net(images.to(dtype, memory_format=torch.channels_last))  # (N, D)


def conv(width: int = 16, depth: int = 3, *, channels: int = 3, seed: int = 0) -> Encoder:
    """A small convolutional net for a laptop: `depth` layers, each halves the picture and doubles the channels.

    Output: the mean over the remaining places, D = width * 2 ** (depth - 1).
    """
    widths = [channels, *(width * 2**i for i in range(depth))]
    with seeded(seed):
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [
                nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(b),
                nn.ReLU(inplace=True),
            ]
        net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Encoder(net, widths[-1], channels)


def resnet18(*, channels: int = 3, seed: int = 0) -> Encoder:
    """ResNet-18 with the stem for small pictures (3x3, stride 1, no pooling): D = 512. For a GPU."""
    from sslwork.torchvision_guard import import_torchvision

    with seeded(seed):
        net = import_torchvision().models.resnet18(weights=None)
        net.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
    net.maxpool, net.fc = nn.Identity(), nn.Identity()
    return Encoder(net, 512, channels)


class _Residual(nn.Module):
    """Two 3x3 convolutions beside a way past them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.around(x))


class _Grey(nn.Module):
    """The mean of the channels: all there is in a grey picture, at a third of the cost."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(1, keepdim=True)


def scattering(
    width: int = 16, blocks: int = 1, *, size: int, scales: int = 2, angles: int = 4, places: int = 2, grey: bool = True,
    seed: int = 0,
) -> Encoder:  # fmt: skip
    """A wavelet scattering, which does not learn, and a small adapter behind it, which does. D = width * places ** 2.

    The adapter: a 3x3 convolution, `blocks` residual blocks, the mean over places x places parts of the picture.

    Args:
        width: channels of the adapter.
        size: side of the pictures, pixels.
        scales, angles: see `Scattering`.
        grey: True looks at the mean of the three channels; False scatters each.

    Source: Kinakh, Taran, Voloshynovskiy 2021, arXiv 2108.13939 (there 128 channels, 8 to 30 blocks, 4 x 4 places).
    """
    fixed = Scattering(scales, angles, size=size)
    channels = (1 if grey else 3) * fixed.channels
    with seeded(seed):
        adapter = [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            *(_Residual(width) for _ in range(blocks)),
        ]
    colour = [_Grey()] if grey else []
    net = nn.Sequential(*colour, fixed, *adapter, nn.AdaptiveAvgPool2d(places), nn.Flatten())
    return Encoder(net, width * places**2)
