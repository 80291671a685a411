"""The figures of robust training, drawn from numbers of the right shape."""

import numpy as np
import pytest
import torch

from sslwork.plots import reweighted, trained_robustly
from sslwork.seeds import generator


class Measured:
    arms = ("standard", "robust")

    def values(self, arm, measure):
        one = {
            "names": ["clean", "Square, 500 queries"],
            "left": [90.0, 40.0],
            "eps": [0.0, 0.2],
            "curve": [90.0, 50.0],
        }
        return [one.get(measure, [1.0, 2.0, 3.0])] * 2


def test_a_ladder_and_a_curve():
    fig = trained_robustly.rungs(
        Measured(), stages="names", ladder="left", eps="eps", curve="curve", n=50, mark=0.1
    )
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["clean", "Square,\n500 queries"]
    with pytest.raises(ValueError, match="n must be 1 picture or more"):
        trained_robustly.rungs(
            Measured(), stages="names", ladder="left", eps="eps", curve="curve", n=0, mark=0.1
        )


def test_answers_below_their_pictures():
    fig = trained_robustly.answers(
        np.zeros((2, 3, 4, 4)), ["as it is", "moved"], ["123", "456"], [[False] * 3, [True] * 3]
    )
    assert [ax.get_title() for ax in fig.axes] == list("123456")
    assert fig.axes[0].title.get_color() != fig.axes[3].title.get_color()


def test_weights_by_class_and_the_largest_first():
    images, labels = torch.rand(12, 1, 4, 4, generator=generator(0)), torch.arange(12) % 2
    fig = reweighted.weights(images, labels, ["a", "b"], torch.arange(12.0))
    assert [ax.get_title() for ax in fig.axes[2:5]] == ["b: 11", "a: 10", "b: 9"]
    assert [round(bar.get_height()) for bar in fig.axes[1].patches] == [45, 55]
    with pytest.raises(ValueError, match="10 pictures or more"):
        reweighted.weights(images[:5], labels[:5], ["a", "b"], torch.ones(5))


def test_a_barrier_and_bars_by_class():
    fig = reweighted.barrier(0.1, 0.15, 0.01, 0.05)
    assert len(fig.axes[0].lines) == 5
    fig = reweighted.classes(Measured(), "per class", ["standard", "robust"], ["a", "b", "c"])
    assert len(fig.axes[0].patches) == 6
    with pytest.raises(ValueError, match="arms is empty"):
        reweighted.classes(Measured(), "per class", [], ["a"])
