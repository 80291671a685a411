"""The figures of the methods without negatives: drawn from real input, bad input refused."""

import pytest
import torch

from sslwork.plots.courses import courses
from sslwork.plots.mixing import mixing
from sslwork.plots.networks import networks
from sslwork.plots.price import price
from sslwork.studies import Study


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_networks_show_where_no_gradient_passes():
    axes = {ax.get_title(): texts(ax) for ax in networks().axes}
    stopped = [name for name, words in axes.items() if "no gradient" in words]
    assert list(axes) == ["SimSiam", "BYOL", "VICReg", "Barlow Twins"] and stopped == ["SimSiam", "BYOL"]
    assert [name for name, words in axes.items() if "predictor" in words] == stopped
    assert "twin of head" in axes["BYOL"]


def test_price_has_one_line_per_loss_in_both_panels():
    falling = {"a": [2.0, 1.0], "b": [0.0, 0.0]}
    fig = price([0.1, 1.0, 10.0], {name: [1.0, 0.5, 0.0] for name in "ab"}, [1, 2], falling, now=(1.0, 2))
    assert [len(ax.lines) for ax in fig.axes] == [3, 3]  # two losses, and the mark
    with pytest.raises(ValueError, match=r"the same losses, got \['a'\] and \['a', 'b'\]"):
        price([1.0], {"a": [1.0]}, [1, 2], falling, now=(1.0, 2))


def test_courses_draw_every_seed_and_the_mean():
    results = {
        seed: {arm: {"up": [0.0, 1.0, 2.0 + seed], "at": [0, 10, 20]} for arm in ("one", "two")}
        for seed in range(3)
    }
    (ax,) = courses(Study("toy", {}, "", results), "up", over="at", only=["two"], label="step").axes
    assert len(ax.lines) == 4 and ax.lines[-1].get_label() == "two"
    assert ax.lines[-1].get_ydata()[-1] == pytest.approx(3.0) and list(ax.lines[0].get_xdata()) == [0, 10, 20]
    with pytest.raises(ValueError, match="at least one measure"):
        courses(Study("toy", {}, "", results))


def test_mixing_measures_how_far_from_the_line(stickers):
    on = torch.full((5,), 0.3), torch.zeros(5)
    off = torch.full((5,), 0.3), torch.ones(5)
    fig = mixing(stickers.images[:5], stickers.images[5:10], 0.3, {"linear": on, "bent": off})
    assert [ax.get_title() for ax in fig.axes[-2:]] == ["linear\nmiss 0.00", "bent\nmiss 1.00"]
    with pytest.raises(ValueError, match=r"mix must lie in \[0, 1\], got 1.2"):
        mixing(stickers.images[:5], stickers.images[5:10], 1.2, {"linear": on})
