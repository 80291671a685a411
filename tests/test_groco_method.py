"""GroCo trained: what reaches the loss, the order that it asks for, and the picture of its network."""

import pytest
import torch

from sslwork import encoders, losses, plots, train
from sslwork.methods import GroCo
from sslwork.plots.sorting import passes
from sslwork.seeds import generator


def test_settings_reach_the_loss():
    rows = torch.randn(3, 6, 4, generator=generator(0))
    options = {"top_k": 2, "steepness": 3.0, "stop_gradient": False}
    method = GroCo(encoders.conv(4, 2), n_views=3, **options)
    assert torch.equal(method.loss(*rows), losses.groco(*rows, **options))
    assert method.settings == options | {"n_views": 3}


def test_a_batch_too_small_for_its_negatives_says_so(stickers):
    with pytest.raises(ValueError, match="top_k must be 1 to 7 for a batch of 8, got 10"):
        train.fit(GroCo(encoders.conv(4, 2), dim=8), stickers, steps=1, batch_size=8, progress=False)


def test_one_view_is_refused():
    with pytest.raises(ValueError, match="n_views must be at least 2"):
        GroCo(encoders.conv(4, 2), n_views=1)


@pytest.mark.parametrize("steepness", [0.0, 1.0, 30.0])
def test_the_network_drawn_is_the_network_sorted_by(steepness):
    x = torch.randn(7, generator=generator(0), dtype=torch.double)
    values, p = losses.sort_relaxed(x, steepness=steepness)
    for start, end in ((x, values), (torch.eye(7).double()[2], p[2])):  # numbers, and where input 2 goes
        layers = passes(x, start, steepness=steepness)
        assert len(layers) == 8 and torch.equal(layers[0][0], start)
        torch.testing.assert_close(layers[-1][0], end)


def test_figure():
    x = torch.tensor([0.1, 0.4, 0.3, 0.9])
    fig = plots.sorting_network(x, 2, steepness=5.0, slopes=torch.tensor([0.1, 0.5, -0.4, -0.1]))
    network, heat, bars = fig.axes
    assert (
        len(network.collections[0].get_segments()) == 4 * 6 + 2 * 2
    )  # 6 comparators of 4 strokes, 2 pairs of wires that pass
    assert heat.images[0].get_array().shape == (4, 4) and len(bars.patches) == 4
    with pytest.raises(ValueError, match="top_k must be 1 to 3"):
        plots.sorting_network(x, 4, steepness=1.0, slopes=x)
    with pytest.raises(ValueError, match=r"slopes must have the shape of x, \(4,\)"):
        plots.sorting_network(x, 2, steepness=1.0, slopes=x[:3])
