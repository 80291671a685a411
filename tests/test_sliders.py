"""Sliders: whatever draws gets its controls, draws once per move, and says what was wrong with a value."""

import pytest

from sslwork.plots.style import figure
from sslwork.widgets import Sliders

CONTROLS = {"temperature": (0.01, 1.0, 0.1), "rows": (2, 20, 8), "loss": ["NT-Xent", "DCL"], "detach": False}


@pytest.fixture
def lab():
    drawn = []

    def draw(**values):
        drawn.append(values)
        return figure(300, 200), " ".join(map(str, values.values()))

    lab = Sliders(draw, log=["temperature"], **CONTROLS)
    lab.drawn = drawn
    return lab


def test_starts_from_its_values(lab):
    assert lab.values.pop("temperature") == pytest.approx(0.1)
    assert [lab.values[name] for name in ("rows", "loss", "detach")] == [8, "NT-Xent", False]
    assert bytes(lab.picture.value).startswith(b"\x89PNG")


def test_every_control_redraws_once(lab):
    lab.drawn.clear()
    for name, value in {"temperature": 0.5, "rows": 3, "loss": "DCL", "detach": True}.items():
        lab.controls[name].value = value
    assert len(lab.drawn) == 4 and lab.drawn[-1]["loss"] == "DCL"
    lab.set(rows=9, detach=False)
    assert len(lab.drawn) == 5 and "9 DCL False" in lab.words.value


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"rows": 50}, "rows must lie in 2..20, got 50"),
        ({"temperature": 3.0}, "temperature must lie in 0.01..1, got 3.0"),
        ({"loss": "MSE"}, "loss must be one of"),
        ({"tau": 1}, "no control 'tau'"),
    ],
)
def test_bad_values(lab, wrong, message):
    with pytest.raises(ValueError, match=message):
        lab.set(**wrong)


def test_whole_numbers_on_a_logarithmic_scale():
    """Half of the track for 2 to 32, half for 32 to 512, and its ends and start are among the stops."""
    lab = Sliders(lambda rows: (figure(300, 200), f"{rows} rows"), log=["rows"], rows=(2, 512, 100))
    stops = lab.controls["rows"].options
    assert lab.values == {"rows": 100} and (stops[0], stops[-1]) == (2, 512)
    assert sum(stop <= 32 for stop in stops) > len(stops) // 3
    lab.set(rows=32)
    assert lab.sentence == "32 rows"
    with pytest.raises(ValueError, match="rows must be one of"):
        lab.set(rows=511)


def test_a_tuple_of_words_is_a_slider_with_stops():
    lab = Sliders(lambda poison: (figure(300, 200), poison), poison=("0 %", "2 %", "5 %"))
    assert lab.controls["poison"].options == ("0 %", "2 %", "5 %") and lab.values == {"poison": "5 %"}
    lab.set(poison="0 %")
    assert lab.sentence == "0 %"
    with pytest.raises(ValueError, match="poison must be one of"):
        lab.set(poison="1 %")
