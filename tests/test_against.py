"""Arms in the plane of two measures."""

import pytest

from sslwork.plots.against import against
from sslwork.studies import Study


def study(ranks, accuracies):
    arms = {
        f"arm {i}": {"RankMe": r, "k-NN": a} for i, (r, a) in enumerate(zip(ranks, accuracies, strict=True))
    }
    return Study(
        "toy", {}, "", {0: arms | {"untrained": {"k-NN": 5.0}}, 1: arms | {"untrained": {"k-NN": 6.0}}}
    )


def test_says_the_correlation_of_the_arms_that_have_both():
    fig, said = against(study([1, 2, 3, 4], [10, 20, 30, 35]), "RankMe", "k-NN")
    assert said.startswith("Over 4 arms, Spearman's correlation of RankMe and k-NN is +1.00")
    assert [text.get_text() for text in fig.axes[0].texts] == ["arm 0", "arm 1", "arm 2", "arm 3"]


def test_too_few_arms():
    with pytest.raises(ValueError, match="only 2 arms have both"):
        against(study([1, 2], [3, 4]), "RankMe", "k-NN")
