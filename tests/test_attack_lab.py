"""The attack and defence lab: tabs, traced curves, controls beside every number."""

import re
from functools import partial

import pytest
import torch

from sslwork import backdoor, data, encoders, nets, purify, zoo
from sslwork.widgets import Dashboard, Sliders, Tabbed, attack_lab


@pytest.fixture(scope="module")
def digits():
    return data.load("affine-digits", split="test", count=30)


class Blank:
    """A filter that nothing gets past."""

    deterministic = True

    def __call__(self, x):
        return torch.zeros_like(x)

    def soft(self, x):
        return 0 * x


@pytest.fixture(scope="module")
def lab(digits):
    """One for all: each test moves every control that it leans on."""
    colour = data.PictureSet(digits.images.expand(-1, 3, -1, -1).contiguous(), digits.labels, digits.names)
    scores = {"spectral": {"clean": torch.arange(20.0), "poisoned": torch.arange(10.0) + 15}}
    return attack_lab(
        {"a net": nets.small_conv(4), "another": nets.small_conv(4, seed=1)}, digits, filters={"median": purify.Median()},
        encoders={"0 %": encoders.conv(4), "5 %": encoders.conv(4, seed=1)}, coloured=(colour[:20], colour[20:]),
        target=4, scores=scores,
    )  # fmt: skip


def test_three_tabs_one_still(lab):
    assert [lab.tabs.get_title(i) for i in range(3)] == ["perturb", "backdoor", "detect"]
    for name in ("backdoor", "detect", "perturb"):
        lab.tab = name
        assert lab.tab == name and lab.sentence == lab[name].sentence
        assert lab.still().get_size_inches().min() > 1
    with pytest.raises(KeyError, match="no tab 'attack'"):
        lab.tab = "attack"


def test_perturbing_traces_a_curve_with_its_control(lab):
    tab = lab["perturb"]
    tab.set(model="a net", attack="PGD", norm="linf", filter="none", control=False, eps=0.0)
    at_zero = tab.sentence
    shares = re.findall(r"(\d+%) \(", at_zero)
    assert len(shares) == 2 and shares[0] == shares[1], "no change, no difference"
    tab.set(eps=0.2, control=True)
    axes = tab.still().axes[0]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["PGD, linf", "control: noise of equal energy"]
    assert {0.0, 0.2} <= set(axes.lines[0].get_xdata())
    assert "asking checks" in tab.sentence


def test_who_knows_what_is_said(lab):
    tab = lab["perturb"]
    tab.set(model="a net", attack="PGD", norm="linf", filter="median", attacker="oblivious")
    assert "behind median, attacker oblivious" in tab.sentence and "adaptive one" in tab.sentence
    tab.set(attacker="adaptive", norm="l2", eps=0.4, attack="FGSM", model="another")
    assert "adaptive one" not in tab.sentence


def test_what_is_counted_stands_behind_the_filter_whoever_attacks():
    digits = data.load("affine-digits", count=300, size=16, turn=0, scale=(1, 1), shift=0)
    net = zoo.classifier("standard", digits, steps=60, progress=False)
    tab = attack_lab({"taught": net}, digits[:60], filters={"blank": Blank()})["perturb"]
    tab.set(eps=0.0)
    assert int(re.search(r"(\d+)% \(", tab.sentence)[1]) > 40, "no test if the net has learnt nothing"
    shares = set()
    for attacker in ("oblivious", "BPDA"):
        for eps in (0.0, 0.4):
            tab.set(attack="FGSM", filter="blank", attacker=attacker, eps=eps)
            shares |= set(re.findall(r"(\d+%) \(", tab.sentence))
    assert len(shares) == 1, "all pictures are alike behind it"


def test_no_trigger_no_change(lab):
    tab = lab["backdoor"]
    tab.set(magnitude=0.0, noise=False, rate="5 %")
    triggered, _, base = re.findall(r"(\d+%) \(", tab.sentence)
    assert triggered == base
    assert "clean-trained" in tab.sentence
    tab.set(magnitude=400.0, noise=True, frequencies="1, 2", rate="0 %")
    assert "noise of equal energy" in tab.sentence


def test_the_threshold_counts_both_sides(lab):
    tab = lab["detect"]
    tab.set(threshold=0.0)
    assert "poisoned: 100%" in tab.sentence
    tab.set(threshold=1.0)
    assert "clean: 0%" in tab.sentence


def test_what_is_missing_is_said(digits):
    with pytest.raises(ValueError, match="at least one classifier"):
        attack_lab({}, digits)
    with pytest.raises(ValueError, match="coloured="):
        attack_lab({"a": nets.small_conv(4)}, digits, encoders={"0 %": encoders.conv(4)})
    with pytest.raises(ValueError, match="no labels"):
        attack_lab({"a": nets.small_conv(4)}, data.PictureSet(digits.images))
    with pytest.raises(ValueError, match="at least one dashboard"):
        Tabbed({})


def test_any_dashboards_go_behind_tabs():
    def draw(side):
        from sslwork.plots.style import figure

        return figure(100, 50 + side), f"side {side}"

    both = Tabbed({"one": Sliders(partial(draw), side=(1, 9, 3)), "two": Sliders(draw, side=(1, 9, 5))})
    assert isinstance(both, Dashboard) and both.sentence == "side 3"
    both.tab = "two"
    both["two"].set(side=7)
    assert both.sentence == "side 7"


def test_the_trigger_of_the_lab_is_that_of_the_package():
    """The lab adds `ctrl_pattern`; `ctrl_trigger` must be the same pictures."""
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    there = backdoor.add(images, backdoor.ctrl_pattern(16, magnitude=120))
    assert torch.equal(there, backdoor.ctrl_trigger(images, magnitude=120))
