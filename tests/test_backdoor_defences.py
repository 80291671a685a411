"""Neural Cleanse, fine-pruning and PatchSearch on toys in which the backdoor is planted by hand."""

import pytest
import torch
from torch import nn

from sslwork import detectors, nets
from sslwork.data import PictureSet
from sslwork.seeds import generator

DARK = 0.3 * torch.rand(60, 1, 8, 8, generator=generator(0))


def back_doored(images):
    """Four classes by the brightest quarter, and one pixel that means class 2."""
    quarters = images[:, 0].unfold(1, 4, 4).unfold(2, 4, 4).mean((3, 4)).flatten(1)  # (N, 4)
    door = (images[:, 0, 7, 7] - 0.5).clamp(min=0)
    return 20 * quarters + 60 * door[:, None] * torch.tensor([0.0, 0, 1, 0])


def test_neural_cleanse_flags_the_class_with_the_small_mask():
    found = detectors.neural_cleanse(back_doored, DARK[:20], classes=4, steps=150, seed=1)
    assert found.sizes.argmin() == 2 and found.flagged == [2]
    x = (1 - found.masks[2]) * DARK + found.masks[2] * found.patterns[2]
    assert (back_doored(x).argmax(1) == 2).double().mean() > 0.9
    away = (found.sizes - found.sizes.quantile(0.5)).abs()
    torch.testing.assert_close(found.anomaly, away / (1.4826 * away.quantile(0.5)))
    assert found.masks.min() >= 0 and found.masks.max() <= 1


def test_neural_cleanse_does_not_judge_a_broken_model():
    with pytest.raises(FloatingPointError, match="nan"):
        detectors.neural_cleanse(lambda x: back_doored(x) * torch.nan, DARK[:5], classes=4, steps=2)


def test_fine_pruning_silences_idle_channels_and_keeps_the_accuracy():
    net = nets.small_conv(2, 2, classes=2, hidden=4)
    labels = net(DARK).argmax(1)  # of which it is right about all
    bias = net.blocks[1][0].bias
    bias.data[1] = -100.0  # a channel that never fires
    labels = net(DARK).argmax(1)
    found = detectors.fine_pruning(net, "blocks.1", PictureSet(DARK, labels), drop=0.0)
    assert found.channels[0] == 1 and found.before == found.after
    assert found.model.maps(DARK)[1][:, 1].eq(0).all()
    assert torch.equal(net.maps(DARK)[1], net.maps(DARK)[1]) and not isinstance(
        net.blocks[1][0], nn.Sequential
    )
    everything = detectors.fine_pruning(net, "blocks.1", PictureSet(DARK, labels), drop=1.0)
    assert sorted(everything.channels) == [0, 1, 2, 3]


def test_patch_search_counts_no_picture_that_was_there_before():
    images = (torch.arange(40) % 2).float()[:, None, None, None].expand(-1, 1, 8, 8)
    found = detectors.patch_search(lambda x: x, images, side=1, clusters=2, held_out=20)
    assert found.max() == 0  # a pixel moves nobody into another cluster


def test_patch_search_finds_the_pictures_with_the_patch():
    def maps(images):
        return torch.cat([images, 30 * (images - 0.9).clamp(min=0)], 1)

    images = DARK.clone()
    images[:6, :, 5:7, 2:4] = 1.0
    found = detectors.patch_search(maps, images, side=2, clusters=5, held_out=20, seed=2)
    bad = torch.arange(60) < 6
    assert found[bad].max() == 1 and found[~bad].max() < 0.8
    assert set(found.topk(3).indices.tolist()) <= set(range(6))
    again = detectors.patch_search(maps, images, side=2, clusters=5, held_out=20, seed=2)
    assert torch.equal(found, again) and (found == -1).any()


def broken():
    net = nets.small_conv(2)
    nn.init.constant_(net.head.weight, torch.nan)
    return net


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: detectors.neural_cleanse(back_doored, DARK, classes=2), "classes"),
        (lambda: detectors.fine_pruning(nets.small_conv(2), "blocks.0", PictureSet(DARK)), "no labels"),
        (lambda: detectors.fine_pruning(nets.small_conv(2), "body", PictureSet(DARK, torch.zeros(60).long())), "maps"),
        (lambda: detectors.fine_pruning(broken(), "blocks.0", PictureSet(DARK, torch.zeros(60).long())), "NaN"),
        (lambda: detectors.patch_search(lambda x: x, DARK, side=9), "side"),
        (lambda: detectors.patch_search(lambda x: x, DARK, clusters=61), "clusters"),
        (lambda: detectors.patch_search(lambda x: x, DARK, per_round=0), "per_round"),
        (lambda: detectors.patch_search(lambda x: x, DARK, held_out=0), "held_out"),
        (lambda: detectors.patch_search(lambda x: x, DARK, drop=1.5), "drop"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
