"""Figures of filters: drawn from real input, bad input refused."""

import pytest
import torch

from sslwork import purify
from sslwork.plots import bits, purified
from sslwork.seeds import generator

X = torch.rand(1, 3, 8, 8, generator=generator(0))


def test_the_flow_has_a_picture_for_every_stage():
    clean, attacked = ({k: v[0] for k, v in purify.Raw().stages(x).items() if k != "F"} for x in (X, X * 0.9))
    fig = purified.flow(clean, attacked)
    assert len(fig.axes) == 9 and fig.axes[0].get_title() == "G"
    with pytest.raises(ValueError, match="same stages"):
        purified.flow(clean, {})


def test_codes_show_flipped_bits_in_red():
    model = purify.LQVAE((1, 8, 8), latent=9, hidden=[8])
    x = X[:, :1]
    code = model.bits(x)[0]
    flipped = code.clone()
    flipped[4] *= -1
    rows = {
        name: bits.Coded(x[0], each, model.discrete(each[None])[0], torch.eye(10)[3])
        for name, each in (("clean", code), ("attacked", flipped))
    }
    fig = bits.codes(rows)
    before, after = (fig.axes[i].images[0].get_array() for i in (1, 5))
    assert (before != after).any(-1).sum() == 1
    with pytest.raises(ValueError, match="one length"):
        bits.codes({})


def test_margins_are_drawn_by_the_eps_that_flips():
    mu = torch.randn(4, 9, generator=generator(1))
    distances = (mu.abs() - 0.1).abs().flatten()
    flipped = torch.where(distances < 0.2, 0.1, torch.inf)
    fig = bits.margins(mu, 0.1, distances, flipped, [0.1, 0.2])
    assert [t.get_text() for t in fig.axes[1].get_xticklabels()] == ["0.1", "0.2", "never"]
