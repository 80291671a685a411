"""Encoders: pictures (N, C, H, W) in [0, 1] to representations (N, D). Each has `out_features` = D."""

import itertools

import torch
from torch import Tensor, nn

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
        return self.net(images.contiguous(memory_format=torch.channels_last))  # (N, D)


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
