"""Fine-pruning: channels that clean pictures leave idle are where a backdoor may live, so they go."""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sslwork import checks
from sslwork.attacks.objectives import logits
from sslwork.data.pictures import PictureSet, to_float
from sslwork.embedding import evaluating


class Kept(nn.Module):
    """Channels with `keep` = 0 are silenced: (N, C, H, W) -> the same."""

    keep: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("keep", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.keep[:, None, None]


class Pruned(NamedTuple):
    """A pruned copy of the model, the channels that went, in their order, and clean accuracy (0..1) before and after."""

    model: nn.Module
    channels: list[int]
    before: float
    after: float


@torch.no_grad()
def fine_pruning(model: nn.Module, layer: str, clean: PictureSet, *, drop: float = 0.04) -> Pruned:
    """A copy of `model` less the channels of `layer` which clean pictures excite least.

    One after another, by ascending mean activation, until the next would cost more than `drop` of clean accuracy. The
    method goes on with fine-tuning on clean pictures: `finetune.finetune(pruned.model, clean, ...)`.

    Args:
        model: pictures (N, C, H, W) in [0, 1] to logits.
        layer: name of a part whose output is (N, channels, H, W), after its ReLU: "blocks.2" of `nets.small_conv`.
        clean: pictures with labels, known to be clean.
        drop: accuracy that may be lost, 0..1.

    Raises:
        ValueError: no labels, a drop out of range, a layer whose output has no channels, NaN from the model.
        AttributeError: no such layer.

    Source: Liu, Dolan-Gavitt, Garg 2018, arXiv 1805.12185.
    """
    labels = checks.labels(clean.labels, len(clean))
    if not 0 <= drop <= 1:
        raise ValueError(f"drop must lie in 0..1, got {drop}")
    pruned, maps = copy.deepcopy(model), []
    part = pruned.get_submodule(layer)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    images, labels = to_float(clean.images).to(device), labels.to(device)

    def right() -> float:
        return float((logits(pruned, images).argmax(1) == labels).double().mean())

    with evaluating(pruned):
        hook = part.register_forward_hook(lambda _, __, out: maps.append(out))
        before = right()
        hook.remove()
        if maps[0].ndim != 4:
            raise ValueError(f"layer {layer!r} must make maps (N, C, H, W), got {tuple(maps[0].shape)}")
        mask = Kept(maps[0].shape[1]).to(device)
        pruned.set_submodule(layer, nn.Sequential(part, mask))
        gone, after = [], before
        for channel in maps[0].mean((0, 2, 3)).argsort().tolist():
            mask.keep[channel] = 0
            now = right()
            if now < before - drop:
                mask.keep[channel] = 1
                break
            gone.append(channel)
            after = now
    return Pruned(pruned, gone, before, after)
