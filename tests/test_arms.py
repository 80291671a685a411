"""The figure of a study."""

import pytest

from sslwork.plots import arms
from sslwork.studies import Study


@pytest.fixture
def study():
    results = {
        seed: {"ours": {"k-NN": 80.0 + seed, "rank": 9.0}, "control": {"k-NN": 70.0}} for seed in range(3)
    }
    return Study("toy", {}, "", results)


def test_one_panel_per_measure_one_row_per_arm(study):
    fig = arms(study, "k-NN", "rank", lines={"k-NN": {"raw pixels": 60.0}})
    left, right = fig.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["ours", "control"]
    assert [len(line.get_xdata()) for line in right.lines] == [2, 3]  # the control has no rank
    assert "raw pixels" in [text.get_text() for text in left.texts]


def test_without_a_measure_there_is_nothing_to_draw(study):
    with pytest.raises(ValueError, match="at least one measure"):
        arms(study)
