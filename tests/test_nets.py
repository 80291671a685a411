"""Small classifiers: normalisation inside, rows and maps on the way, exits, layers between blocks."""

import pytest
import torch
from torch import nn

from sslwork import nets

IMAGES = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def test_the_head_reads_the_features():
    net = nets.small_conv(seed=1)
    assert net(IMAGES).shape == (3, 10)
    assert torch.equal(net.head(net.features(IMAGES)), net(IMAGES))
    assert [tuple(m.shape[1:]) for m in net.maps(IMAGES)] == [(8, 16, 16), (16, 8, 8), (16, 4, 4)]


def test_normalisation_lives_inside():
    net = nets.small_conv()
    bare = net(IMAGES)
    net.normalise = nets.Normalise(0.5 * 255, 0.5 * 255)
    torch.testing.assert_close(net(IMAGES * 255), bare)


def test_the_seed_is_the_network_and_nothing_else_moves():
    a, b, c = (nets.small_conv(seed=s) for s in (0, 0, 1))
    assert torch.equal(a(IMAGES), b(IMAGES)) and not torch.equal(a(IMAGES), c(IMAGES))
    with_exit = nets.small_conv(exits=[1], seed=0)
    assert torch.equal(with_exit(IMAGES), a(IMAGES))


def test_exits_come_last_layer_first():
    net = nets.small_conv(exits=[0, 1], hidden=12)
    rows = net.exit_features(IMAGES)
    assert rows.shape == (3, 3, 12)
    assert torch.equal(rows[:, 0], net.features(IMAGES))
    assert torch.equal(rows[:, 1], net.exits["1"](net.maps(IMAGES)[1]))


def test_a_layer_after_a_block_changes_the_maps_from_there_on():
    class Zero(nn.Module):
        def forward(self, x):
            return x * 0

    plain, cut = nets.small_conv(), nets.small_conv(after={1: Zero()})
    assert torch.equal(plain.maps(IMAGES)[0], cut.maps(IMAGES)[0])
    assert cut.maps(IMAGES)[1].abs().sum() == 0


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="no block 3"):
        nets.small_conv(exits=[3])
    with pytest.raises(ValueError, match="shape"):
        nets.small_conv()(IMAGES[0])
    with pytest.raises(ValueError, match="std must be above 0"):
        nets.Normalise(0.5, [0.2, 0.0])
