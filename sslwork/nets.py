"""Small classifiers with the normalisation inside, so that a perturbation is measured in pixel units."""

import itertools
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from sslwork.seeds import seeded


class Normalise(nn.Module):
    """(x - mean) / std per channel, as a layer of the network: images outside stay in [0, 1].

    Args:
        mean, std: one number, or one per channel, in the units of the images.

    Raises:
        ValueError: a std that is not above 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float | Iterable[float] = 0.5, std: float | Iterable[float] = 0.5) -> None:
        super().__init__()
        for name, value in (("mean", mean), ("std", std)):
            row = torch.tensor([value] if isinstance(value, int | float) else list(value), dtype=torch.float)
            self.register_buffer(name, row[:, None, None])  # (C, 1, 1)
        if not (self.std > 0).all():
            raise ValueError(f"std must be above 0 in every channel, got {self.std.flatten().tolist()}")

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


class Classifier(nn.Module):
    """Images (N, C, H, W) in [0, 1] to logits (N, K); rows and maps on the way can be looked at.

    Made by `small_conv`.
    """

    def __init__(
        self,
        blocks: list[nn.Module],
        body: nn.Module,
        head: nn.Linear,
        exits: Mapping[int, nn.Module],
        channels: int,
    ) -> None:
        super().__init__()
        self.normalise, self.blocks = Normalise(), nn.ModuleList(blocks)
        self.body, self.head = body, head
        self.exits = nn.ModuleDict({str(block): net for block, net in sorted(exits.items())})
        self.channels = channels

    def maps(self, images: Tensor) -> list[Tensor]:
        """The feature maps (N, C_b, H_b, W_b) after each block."""
        if images.ndim != 4 or images.shape[1] != self.channels:
            raise ValueError(
                f"images must have shape (N, {self.channels}, H, W), got {tuple(images.shape)}; "
                "add a batch dimension with images[None], take one channel with images[:, :1]"
            )
        x = self.normalise(images)
        return [x := block(x) for block in self.blocks]

    def features(self, images: Tensor) -> Tensor:
        """Penultimate rows (N, hidden): what the last linear layer reads."""
        return self.body(self.maps(images)[-1])

    def exit_features(self, images: Tensor) -> Tensor:
        """Rows of every exit (N, 1 + exits, hidden): the last layer's first, then the sub-exits from deep to shallow."""
        maps = self.maps(images)
        early = [net(maps[int(block)]) for block, net in list(self.exits.items())[::-1]]
        return torch.stack([self.body(maps[-1]), *early], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


def small_conv(
    width: int = 8, blocks: int = 3, *, channels: int = 1, classes: int = 10, hidden: int = 64, batch_norm: bool = False,
    exits: Iterable[int] = (), after: Mapping[int, nn.Module] | None = None, seed: int = 0,
) -> Classifier:  # fmt: skip
    """A small convolutional classifier: `blocks` 3x3 convolutions, all but the first halve the picture, then two layers.

    Channels are width, 2 width, 2 width, ... The last maps are averaged down to 4 x 4 places, one hidden layer follows.

    Args:
        hidden: width of the penultimate rows.
        batch_norm: after every convolution; without it, evaluation and training mode are the same function.
        exits: blocks, counted from 0, with a sub-exit: mean over places, then a linear layer to `hidden`.
        after: a layer placed after a block, e.g. one that perturbs its channel statistics.

    Raises:
        ValueError: an exit or a layer after a block that is not there.
    """
    after, exits = dict(after or {}), list(exits)
    if missing := [block for block in (*exits, *after) if not 0 <= block < blocks]:
        raise ValueError(f"there is no block {missing[0]}: blocks are counted from 0 to {blocks - 1}")
    widths = [channels, width, *[2 * width] * (blocks - 1)]
    with seeded(seed):
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(itertools.pairwise(widths)):
            norm = [nn.BatchNorm2d(b)] if batch_norm else []
            conv = nn.Conv2d(a, b, 3, stride=2 if i else 1, padding=1)
            layers.append(nn.Sequential(conv, *norm, nn.ReLU()))
        body = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * widths[-1], hidden), nn.ReLU()
        )  # fmt: skip
        head = nn.Linear(hidden, classes)
        early = {
            block: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[block + 1], hidden))
            for block in exits
        }
    for block, layer in after.items():
        layers[block] = nn.Sequential(layers[block], layer)
    return Classifier(layers, body, head, early, channels)
