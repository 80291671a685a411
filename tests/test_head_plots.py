"""Figures of heads and of few labels: drawn from what was measured, and bad input refused."""

import pytest
import torch

from sslwork.plots.heads import feature_bars, two_features
from sslwork.plots.pipeline import pipeline
from sslwork.plots.style import png
from sslwork.seeds import generator
from sslwork.toys import head_theory


def test_bars_are_the_weights():
    weights = torch.stack([head_theory.feature_weights([1, 0.25], [1, 1], layer=i) for i in range(3)])
    fig = feature_bars({"a case": weights}, {"a case": weights})
    heights = [bar.get_height() for bar in fig.axes[0].patches]
    assert heights == pytest.approx(weights.T.flatten().tolist())
    assert len(png(fig)) > 5000
    with pytest.raises(ValueError, match="theory is empty"):
        feature_bars({})
    with pytest.raises(ValueError, match="one row per place"):
        feature_bars({"a case": weights[:2]})


def test_two_features_on_their_way():
    times = torch.tensor([0.0, 1.0, 10.0])
    gains = head_theory.flow([1, 0.1], [1, 1], times)
    ends = {"input": torch.ones(2), "after": torch.tensor([1.0, 0.3])}
    fig = two_features(ends, times, gains, torch.ones(2), 1.0)
    assert len(png(fig)) > 5000 and len(fig.axes[1].lines) == 5
    with pytest.raises(ValueError, match="gains must have shape"):
        two_features(ends, times, gains[:2], torch.ones(2), 1.0)


def test_a_pipeline_shows_the_probabilities_of_the_chosen_picture():
    teacher, student = torch.randn(2, 6, 3, generator=generator(0))
    places, images = torch.randn(6, 2, generator=generator(1)), torch.zeros(6, 1, 4, 4)
    fig = pipeline({"labels alone": [50, 60, 55]}, places, teacher, student, images, 2, temperature=0.5)
    shown = [bar.get_height() for bar in fig.axes[2].patches]
    both = torch.cat([teacher[2], student[2]]).view(2, 3) / 0.5
    assert shown == pytest.approx(both.softmax(1).flatten().tolist())
    assert len(png(fig)) > 5000
    with pytest.raises(ValueError, match="chosen must be a row of 6"):
        pipeline({}, places, teacher, student, images, 6)
