"""Figures of stages and of false negatives: drawn from real input, and what does not fit is refused."""

import pytest
import torch

from sslwork.batches import guided_order
from sslwork.plots import clashes, stages
from sslwork.seeds import generator
from sslwork.toys.suppression import pulls, two_features

TABLE = {"stage 0": {"digit": 40.0, "colour": 99.0}, "MCL": {"digit": 60.0, "colour": 98.0}}
IMAGES = torch.rand(30, 3, 8, 8, generator=generator(0))


def test_pulls_have_two_curves_and_one_scale():
    learnt = torch.linspace(0, 5, 4, dtype=torch.double)
    curve = torch.stack([pulls(two_features(8), torch.stack([w, 0 * w])) for w in learnt])
    left, right = stages.pulls(learnt, curve, curve).axes
    assert left.get_ylim() == right.get_ylim() and len(left.get_legend().texts) == 2


def test_the_stage_on_the_map_is_framed_in_the_table():
    xy = torch.rand(30, 2, generator=generator(0)).numpy()
    fig = stages.stage(xy, torch.arange(30) % 4, IMAGES, TABLE, "MCL", title="by colour")
    scatter, table, strip = fig.axes
    assert len(scatter.collections[0].get_offsets()) == 30 and len(strip.images) == 20
    assert [text.get_text() for text in table.texts] == ["40", "99", "60", "98"]
    assert table.patches[0].get_y() == 0.5
    assert [text.get_text() for text in scatter.get_legend().texts] == ["0", "1", "2", "3"]
    with pytest.raises(ValueError, match="now must be one of"):
        stages.stage(xy, torch.arange(30) % 4, IMAGES, TABLE, "stage 7")


def test_kinds_that_are_colours_have_their_own():
    xy = torch.rand(30, 2, generator=generator(0)).numpy()
    scatter = stages.stage(
        xy, torch.arange(30) % 2 * 2, IMAGES, TABLE, "MCL", palette=["red", "lime", "blue"]
    ).axes[0]
    assert scatter.collections[0].get_facecolors()[:2].tolist() == [[1, 0, 0, 1], [0, 0, 1, 1]]
    assert scatter.get_legend() is None


def test_ease_shows_every_seed_beside_the_start():
    sheet, bars = stages.ease(
        IMAGES, {"digit": [30.0, 34.0], "colour": [90.0, 92.0]}, {"digit": 35.0, "colour": 60.0}
    ).axes
    assert len(sheet.images) == 18 and [bar.get_width() for bar in bars.patches] == [32.0, 91.0]


def test_clashing_pictures_are_framed():
    fig = clashes.batches(IMAGES[:6].unflatten(0, (2, 3)), torch.tensor([[1, 2, 1], [0, 1, 2]]))
    assert len(fig.axes[0].images) == 6 and len(fig.axes[0].patches) == 2
    with pytest.raises(ValueError, match="labels \\(batches, B\\)"):
        clashes.batches(IMAGES[:6], torch.zeros(2, 3))


def test_rates_lie_between_bound_and_chance():
    fig = clashes.rates(64, 10, 0.5)
    random, guided, bound = (fig.axes[0].lines[i].get_ydata() for i in (0, 2, 4))
    assert all(c <= b <= a for a, b, c in zip(random, guided, bound, strict=True))


def test_an_epoch_is_clean_until_a_cluster_is_exhausted():
    clusters = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 1])
    ax = clashes.epoch(clusters, guided_order(clusters).view(3, 3), clusters % 2).axes[0]
    first, second, last = ax.lines[0].get_ydata()
    assert first == second == 0 and last > 0
