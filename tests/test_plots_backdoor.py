"""Pictures of triggers: drawn from real ones, bad input refused."""

import pytest

from sslwork import backdoor
from sslwork.plots.backdoor import closely, drifts


def test_a_trigger_is_drawn_closely(stickers):
    clean = stickers.images[:1].float() / 255
    fig = closely(clean[0], backdoor.ctrl_trigger(clean, magnitude=60)[0])
    assert [ax.get_title() for ax in fig.axes[:3]] == ["clean", "triggered", "difference, 8 times"]
    with pytest.raises(ValueError, match="one shape"):
        closely(clean, clean)


def test_drifts_count_who_is_nearer_to_the_target():
    still, moved = [[0.0, 0.1], [0.9, 0.8]], [[0.0, 0.9], [0.9, 0.2]]
    fig = drifts({"clean": [*still, *still], "poisoned": [*still, *moved]}, target="4")
    assert [ax.get_title() for ax in fig.axes] == [
        "clean: 0 of 2 nearer to 4",
        "poisoned: 1 of 2 nearer to 4",
    ]
    with pytest.raises(ValueError, match="one to three"):
        drifts({}, target="4")
