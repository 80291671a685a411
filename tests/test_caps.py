"""Caps: sizes and points from the seed, the law of temperatures on them, and the figures."""

import math

import pytest
import torch

from sslwork import losses, plots
from sslwork.toys.caps import caps, tail_sizes, to_negatives


def test_points_are_unit_and_stay_when_a_class_grows():
    points, labels = caps([5, 3], seed=1)
    more, of = caps([9, 3], seed=1)
    torch.testing.assert_close(points.norm(dim=1), torch.ones(8))
    assert labels.bincount().tolist() == [5, 3]
    torch.testing.assert_close(more[of == 0][:5], points[labels == 0])
    torch.testing.assert_close(more[of == 1], points[labels == 1])
    assert not torch.allclose(caps([5, 3], seed=2)[0], points)


def test_to_negatives_leaves_out_the_anchor_alone():
    points, _ = caps([4, 4])
    s = to_negatives(points, torch.tensor([2, 7]))
    assert s.shape == (2, 8) and s.isneginf().sum() == 2
    assert s[0, 2] == s[1, 7] == -torch.inf
    torch.testing.assert_close(s[0, 3], points[2] @ points[3])


def test_a_class_of_share_c_cannot_stand_out_by_more_than_log_1_over_c():
    """Two tight, opposite caps: p is even within the anchor's class, so that KL stops at log(N / n) for any tau."""
    points, labels = caps([60, 20], spread=1e-3, dim=8)
    points = torch.where((labels == 0)[:, None], points[0], -points[0])
    s = to_negatives(points, torch.tensor([0, 70])).double()
    for rho, reaches in ((0.2, (True, True)), (0.5, (False, True)), (1.6, (False, False))):
        tau = losses.temperature_for(s, rho=rho)
        assert tuple((tau > 0.051).tolist()) == reaches  # else it lies at its lower bound
    assert math.log(79 / 59) < 0.5 < math.log(79 / 19) < 1.6


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_large_classes_are_hot_where_the_bound_is_tight(seed):
    points, labels = caps(tail_sizes(400, 8), seed=seed)
    anchors = torch.cat([(labels == k).nonzero().flatten()[:8] for k in range(10)])
    s = to_negatives(points, anchors)
    small, large = (losses.temperature_for(s, rho=rho).view(10, 8).mean(1) for rho in (0.1, 1.6))
    assert small[:3].mean() > small[-3:].mean() and large[:3].mean() < large[-3:].mean()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: caps([]), "at least 1 point per class"),
        (lambda: caps([3, 0]), "at least 1 point per class"),
        (lambda: caps([3], spread=0.0), "spread must be"),
        (lambda: tail_sizes(5, 9), "smallest <= largest"),
        (lambda: plots.by_size({}), "panels is empty"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_figures():
    points, labels = caps([30, 10])
    anchors = torch.tensor([0, 1, 35])
    s = to_negatives(points, anchors)
    fig = plots.solved_caps(points, labels, anchors, losses.temperature_for(s, rho=0.2), s, 2)
    assert "KL 0.20" in fig.axes[2].get_title()
    drawn = plots.by_size({"one": [([30, 10], [0.4, 0.3])], "two": [([30, 10], [0.4, 0.3])] * 2})
    assert [len(ax.texts) for ax in drawn.axes] == [2, 4]
