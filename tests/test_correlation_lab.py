"""The lab of Barlow Twins by its attributes: what it shows is the loss, and the loss does what the formula says."""

import re

import pytest
import torch

from sslwork.losses import barlow_twins, columns
from sslwork.plots.correlation import correlation
from sslwork.plots.style import png, size
from sslwork.widgets import CorrelationLab


@pytest.fixture
def lab() -> CorrelationLab:
    return CorrelationLab(steps=40)


@pytest.mark.parametrize("time", [0, 7, 40])
def test_the_two_parts_are_the_loss_of_the_pair_shown(lab, time) -> None:
    lab.time = time
    z1, z2 = lab.pair
    assert z1.shape == z2.shape == (64, 16)
    loss = barlow_twins(z1, z2, off_diagonal=lab.off_diagonal)
    assert lab.course[time].sum().item() == pytest.approx(loss.item(), rel=1e-4)
    assert f"time {time}: loss {loss:.3g}" in lab.sentence


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_c_goes_to_the_identity_where_views_are_equal(seed) -> None:
    lab = CorrelationLab(strength=0.0, seed=seed)
    c = columns.cross_correlation(*lab.pair)
    assert torch.allclose(c, torch.eye(16), atol=0.05) and lab.course[0].sum() > 10
    assert lab.floor == 0 and "no floor" in lab.sentence


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_under_strong_views_the_parts_trade(seed) -> None:
    """A larger weight leaves less between the columns, and costs agreement."""
    ends = []
    for lambda_d in (1.0, 64.0):
        c = columns.cross_correlation(*CorrelationLab(lambda_d, strength=1.0, seed=seed).pair)
        ends.append((columns.invariance(c), columns.redundancy(c)))
    (agree, differ), (agree_heavy, differ_heavy) = ends
    assert differ_heavy < differ / 2 and agree_heavy > 2 * agree


@pytest.mark.parametrize("rows", [8, 16, 17, 64])
def test_more_columns_than_rows_allow_have_a_floor(lab, rows) -> None:
    lab.rows = rows
    assert (lab.floor > 0) == (rows - 1 < 16) == ("cannot fall below" in lab.sentence)
    assert lab.course.sum(1).min() >= lab.floor
    assert lab.floor == columns.floor(16, rows, 8 / 16)


def test_every_control_draws_anew(lab) -> None:
    for name, value in {
        "lambda_d": 2.0,
        "dim": 9,
        "rows": 20,
        "strength": 1.0,
        "time": 3,
        "i": 4,
        "j": 8,
    }.items():
        before = lab.picture.value
        setattr(lab, name, value)
        assert lab.picture.value != before and getattr(lab, name) == value, name
    z1, z2 = lab.pair
    c = float(columns.cross_correlation(z1, z2)[4, 8])
    said = re.search(r"Column 4 of view 1 and column 8 of view 2 correlate at (-?\d\.\d\d)", lab.words.value)
    assert z1.shape == (20, 9) and float(said[1]) == pytest.approx(c, abs=0.006)


def test_columns_that_are_gone_are_not_scattered(lab) -> None:
    lab.i = 15
    lab.dim = 5
    assert lab.i == 4 and lab.j == 0
    with pytest.raises(ValueError, match=r"i must lie in 0\.\.4, got 5"):
        lab.i = 5


def test_a_path_is_made_again_and_the_features_stay(lab) -> None:
    course, pair = lab.course, lab.pair
    lab.dim, lab.rows = 30, 100
    lab.dim, lab.rows = 16, 64
    assert torch.equal(lab.course, course) and all(map(torch.equal, lab.pair, pair))


@pytest.mark.parametrize(("wrong", "says"), [
    ({"lambda_d": 3.0}, "lambda_d must be one of"),
    ({"dim": 65}, r"dim must lie in 2\.\.64, got 65"),
    ({"rows": 3}, r"rows must lie in 4\.\.128, got 3"),
    ({"strength": -1.0}, r"strength must lie in 0\.\.2"),
])  # fmt: skip
def test_what_the_sliders_do_not_offer_is_refused(wrong, says) -> None:
    with pytest.raises(ValueError, match=says):
        CorrelationLab(**wrong)


def test_it_leaves_a_still_and_a_sentence(lab) -> None:
    left = lab._bundle()
    assert len(left["image/png"]) * 3 / 4 < 60_000 and left["text/plain"] == lab.sentence
    lab._ipython_display_()  # nowhere to show it: says nothing, raises nothing


def test_the_figure_fits_the_page_and_shows_the_cell() -> None:
    z = torch.eye(6)[:, :3]
    fig = correlation(z, z, torch.ones(3, 2), 1, floor=0.5, cell=(2, 1))
    assert size(fig)[0] <= 840 and len(png(fig)) > 5000
    assert any(ax.get_title() == "C[2, 1] = -0.20" for ax in fig.axes)
