"""The temperature lab and its relatives: tabs, numbers and words, by their attributes from Python."""

import math
import re

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from sslwork import data, losses
from sslwork.measures import Pushes
from sslwork.measures.dilemma import Dilemma
from sslwork.plots.arrows import Scene
from sslwork.seeds import generator
from sslwork.widgets import ForceArrows, SphereToy, TemperatureLab
from sslwork.widgets.arrows import forces


@pytest.fixture(scope="module")
def stickers() -> data.PictureSet:
    return data.load("stickers", split="test", copies=2, size=16)


@pytest.fixture(scope="module")
def features(stickers: data.PictureSet) -> torch.Tensor:
    return stickers.raw()


@pytest.fixture(scope="module")
def encoders(features: torch.Tensor) -> dict[float, torch.Tensor]:
    """Three stand-ins for trained encoders: what matters is that they differ."""
    return {
        t: features @ torch.randn(features.shape[1], 8, generator=generator(i))
        for i, t in enumerate((1.5, 0.1, 0.6))
    }


@pytest.fixture
def full(stickers, features, encoders) -> TemperatureLab:
    individual = {rho: torch.linspace(0.05, 0.5 / rho, len(stickers)) for rho in (0.4, 0.1)}
    return TemperatureLab(features, stickers, encoders=encoders, individual=individual)


def changed(dashboard, change) -> bool:
    before = dashboard.picture.value
    change()
    return dashboard.picture.value != before


# Hard selection


def test_pushes_are_the_gradient_of_the_hard_contrastive_loss() -> None:
    """Value by value against autograd on the loss; negatives that are dropped get exactly nothing."""
    z1, z2 = torch.randn(2, 12, 5, dtype=torch.double, generator=generator(0))
    u1, u2 = normalize(z1, dim=1), normalize(z2, dim=1)
    rows = torch.cat([u1[:1], u2])  # the anchor, its positive, its negatives
    units, positives = rows[[0, *range(2, 13)]], rows[1:]
    for alpha in (1.0, 0.4, 0.01):
        push = Pushes.of(units, positives, 0, 0.3, alpha)
        s = (u2 @ u1[0]).requires_grad_()
        kept = s[1:].topk(push.kept).values
        loss = cross_entropy(torch.cat([s[:1], kept])[None] / 0.3, torch.tensor([0]))
        values = losses.hard_contrastive(z1, z2, temperature=0.3, alpha=alpha, reduction="none")
        assert values[0].item() == pytest.approx(loss.item())
        (force,) = torch.autograd.grad(0.3 * loss, s)
        assert -force[0].item() == pytest.approx(push.pull)
        shares = torch.zeros(11, dtype=torch.double).scatter(0, push.rows - 1, push.share)
        assert torch.allclose(force[1:] / force[1:].sum(), shares)
        assert push.kept == max(1, math.ceil(alpha * 11)) and (push.share[push.kept :] == 0).all()
        assert push.share.sum().item() == pytest.approx(1) and push.entropy <= math.log(push.kept) + 1e-9
    assert push.kept == push.taking(1.0) == 1 and push.entropy == 0


def test_the_selection_counts_and_refuses() -> None:
    units = normalize(torch.randn(101, 4, dtype=torch.double, generator=generator(1)), dim=1)
    assert (
        Pushes.of(units, None, 0, 1.0, alpha=0.07).kept == 7
    )  # though 0.07 * 100 is above 7 in floating point
    for alpha in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="alpha"):
            Pushes.of(units, None, 0, 1.0, alpha)


# What the temperature trades


def test_dilemma_against_loops_over_pairs() -> None:
    z, y = torch.randn(14, 3, generator=generator(2)), torch.arange(14) % 4
    u = normalize(z.double(), dim=1)
    pairs = [(i, j) for i in range(14) for j in range(i)]
    same = [float(u[i] @ u[j]) for i, j in pairs if y[i] == y[j]]
    different = [float(u[i] @ u[j]) for i, j in pairs if y[i] != y[j]]
    gauss = np.mean([math.exp(-2 * float((u[i] - u[j]).square().sum())) for i, j in pairs])
    assert Dilemma.of(z, y) == pytest.approx((math.log(gauss), np.mean(same), np.mean(different)))
    assert Dilemma.of(torch.ones(6, 3), y[:6]) == pytest.approx((0, 1, 1))  # collapsed
    assert math.isnan(Dilemma.of(z, torch.zeros(14, dtype=torch.long)).different)


# TemperatureLab: one anchor


def test_the_entropy_of_the_push_rises_with_the_temperature(stickers, features) -> None:
    lab = TemperatureLab(features, stickers)
    entropies = []
    for temperature in (0.02, 0.1, 0.5, 2.0):
        assert changed(lab, lambda to=temperature: setattr(lab, "temperature", to))
        assert lab.temperature == pytest.approx(temperature, rel=0.05)
        entropies.append(lab.push.entropy)
    assert entropies == sorted(entropies) and entropies[-1] <= np.log(95) + 1e-9


def test_the_anchor_can_be_changed_and_is_no_negative_of_itself(stickers, features) -> None:
    lab = TemperatureLab(features, stickers, features.flip(1), anchor=3)
    assert changed(lab, lambda: setattr(lab, "anchor", 8))
    assert lab.anchor == 8 and 8 not in lab.push.rows and len(lab.push.rows) == 95 and lab.push.positive < 1
    n, m = map(int, re.search(r"(\d+) of (\d+) negatives", lab.sentence).groups())
    assert 1 <= n <= m == 95


def test_alpha_drops_negatives_and_only_looks_at_one_class(stickers, features) -> None:
    lab = TemperatureLab(features, stickers, temperature=0.1)
    assert changed(lab, lambda: setattr(lab, "alpha", 0.1))
    assert lab.push.kept == 10 and "keeps 10" in lab.sentence
    own = stickers.labels[lab.push.rows] == stickers.labels[0]
    percent = f"{100 * float(lab.push.share[own].sum()):.3g} %"
    assert f"{percent} of it falls on the anchor's own class, 1 of the negatives" in lab.sentence
    assert changed(lab, lambda: setattr(lab, "only", stickers.class_of[40]))
    assert f"falls on class {stickers.class_of[40]}, 2 of the negatives" in lab.sentence
    bare = TemperatureLab(features, data.PictureSet(stickers.images))
    assert bare.sentence.endswith("of the push.") and bare.only == "every class"


# TemperatureLab: tabs


def test_tabs_are_those_with_something_to_show_and_only_the_one_in_front_is_drawn(
    stickers, features, full
) -> None:
    assert list(full._tabs) == ["anchor", "dilemma", "individual", "toy", "maps"]
    lab = TemperatureLab(features, stickers, toy=False)
    assert list(lab._tabs) == ["anchor"] and not hasattr(lab, "rho")
    with pytest.raises(AttributeError, match="individual="):
        lab.rho = 0.3
    with pytest.raises(ValueError, match="tab must be one of 'anchor'"):
        lab.tab = "maps"
    for attribute, value in (("rho", 0.4), ("time", 20), ("source", "toy")):
        assert not changed(full, lambda a=attribute, v=value: setattr(full, a, v)), "its tab is not in front"
        assert getattr(full, attribute) == value
    said = set()
    for tab in full._tabs:
        full.tab = tab
        said.add(full.sentence)
        assert full.tab == tab and full.sentence[:30] in full.words.value
    assert len(said) == 5


def test_what_does_not_fit_the_lab_is_refused(stickers, features, encoders, full) -> None:
    for wrong in ({"anchor": 96}, {"anchor": -1}, {"temperature": 0.0}, {"positives": features[:4]}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            TemperatureLab(features, stickers, **wrong)
    with pytest.raises(ValueError, match="one row per picture"):
        TemperatureLab(features[:9], stickers)
    nan = torch.full((96,), torch.nan)
    for wrong, words in (
        ({"encoders": {}}, "encoders is empty"),
        ({"encoders": {0.1: features[:5]}}, r"encoders\[0.1\] must have one row per picture: 96"),
        ({"encoders": {0.0: features}}, "temperature of encoders must be"),
        ({"individual": {}}, "individual is empty"),
        ({"individual": {0.1: nan[:5]}}, r"96 wanted, got shape \(5,\) at rho 0.1"),
        ({"individual": lambda rho: nan}, "temperature of individual at rho 0.3 must be"),
    ):
        with pytest.raises(ValueError, match=words):
            TemperatureLab(features, stickers, **wrong)
    with pytest.raises(ValueError, match="labels"):
        TemperatureLab(features, data.PictureSet(stickers.images), encoders=encoders)
    for attribute, value in (
        ("alpha", 0.0),
        ("only", "nobody"),
        ("rho", 0.2),
        ("time", 101),
        ("source", "x"),
    ):
        with pytest.raises(ValueError, match=f"{attribute} must"):
            setattr(full, attribute, value)


def test_the_curve_is_traced_as_the_slider_moves(full, encoders, stickers) -> None:
    full.tab = "dilemma"
    full.temperature = 0.05
    assert full._of("dilemma")._visited["encoders"] == {0.1}  # nearest to 0.2 and to 0.05
    full.temperature = 1.0
    assert full._of("dilemma")._visited["encoders"] == {0.1, 1.5}
    assert (
        f"temperature 1.5: uniformity {Dilemma.of(encoders[1.5], stickers.labels).uniformity:.2f}"
        in full.sentence
    )
    full.source = "toy"
    assert "Points on the sphere, temperature 1:" in full.sentence


def test_individual_temperatures_follow_rho(full, stickers, features) -> None:
    full.tab = "individual"
    assert full.rho == 0.1 and "from 0.05 to 5" in full.sentence
    assert changed(full, lambda: setattr(full, "rho", 0.4))
    assert full.temperatures[-1].item() == pytest.approx(1.25) and "from 0.05 to 1.2" in full.sentence
    calls = []
    lab = TemperatureLab(
        features, stickers, individual=lambda rho: calls.append(rho) or torch.full((96,), rho)
    )
    lab.tab, lab.rho = "individual", 0.5
    lab.rho = 0.3
    assert calls == [0.3, 0.5] and lab.temperatures[0].item() == pytest.approx(0.3)


def test_maps_switch_with_the_slider_and_become_umap(full, encoders, stickers) -> None:
    full.tab = "maps"
    tab = full._of("maps")
    assert "PCA" in full.sentence or "UMAP" in full.sentence
    full.wait()
    assert "UMAP" in full.sentence and "temperature 0.1," in full.sentence
    assert all(xy.shape == (96, 2) and np.abs(xy).max() == pytest.approx(1) for xy in tab.layouts)
    assert changed(full, lambda: setattr(full, "temperature", 0.5)) and "temperature 0.6," in full.sentence
    u = normalize(encoders[0.6], dim=1)
    near = (u @ u.T).fill_diagonal_(-1).topk(10).indices
    votes = torch.stack([(stickers.labels[near] == c).sum(1) for c in range(48)], 1)
    own = votes.gather(1, stickers.labels[:, None])[:, 0]
    others = votes.scatter(1, stickers.labels[:, None], 0).amax(1)
    assert tab._grid.hits[0.6] == pytest.approx((own > others).double().mean().item())


def test_each_tab_leaves_a_still_and_a_sentence(full) -> None:
    for tab in full._tabs:
        full.tab = tab
        left = full._bundle()
        width, height = full.still().get_size_inches() * 100
        assert width <= 860 and height <= 400, "a small laptop shows it whole, with its controls"
        assert left["text/plain"].endswith(".") and len(left["image/png"]) * 3 / 4 < 120_000


# SphereToy


def test_the_toy_shows_the_dilemma_and_keeps_what_it_has_computed() -> None:
    toy = SphereToy(per_cluster=15)
    assert changed(toy, lambda: setattr(toy, "temperature", 1.0)) and changed(
        toy, lambda: setattr(toy, "time", 20)
    )
    cold, hot = toy.flow.ends[0.25], toy.flow.ends[2.0]
    assert cold.uniformity < hot.uniformity and cold.tolerance < hot.tolerance  # even, or classes together
    assert torch.allclose(toy.points.norm(dim=1), torch.ones(90))
    before = toy.points
    toy.temperature = 0.5
    toy.temperature = 1.0
    assert toy.points is before
    with pytest.raises(ValueError, match="time"):
        toy.time = 1000


# ForceArrows


def infonce(anchor, positives, negatives, *, temperature):
    logits = torch.cat([anchor @ positives[:1].T, anchor @ negatives.T], 1) / temperature
    return cross_entropy(logits, torch.tensor([0]))


def pull(anchor, positives, negatives):
    return -(anchor @ positives.T).mean()


def test_forces_are_the_gradient_along_the_circle() -> None:
    board = ForceArrows({"InfoNCE": infonce}, positives=1, negatives=5, temperature=0.4, anchor=40)
    scene, force = board.scene, board.forces["InfoNCE"]

    def loss(angles):
        points = torch.stack([angles.cos(), angles.sin()], 1)
        return infonce(points[:1], points[1:2], points[2:], temperature=board.temperature)

    points = torch.cat([*scene])
    angles = torch.atan2(points[:, 1], points[:, 0])
    slope = torch.autograd.functional.jacobian(loss, angles)
    tangent = torch.stack([-points[:, 1], points[:, 0]], 1)
    assert torch.allclose(torch.cat([*force]), -slope[:, None] * tangent)
    assert torch.allclose(points.norm(dim=1), torch.ones(7, dtype=torch.double))


def test_arrows_follow_the_controls_and_the_scene_its_seed() -> None:
    board = ForceArrows({"InfoNCE": infonce, "pull only": pull})
    assert changed(board, lambda: setattr(board, "anchor", 120)) and changed(
        board, lambda: setattr(board, "one_scale", True)
    )
    before = board.forces
    assert changed(board, lambda: setattr(board, "temperature", 1.0))
    assert not torch.equal(board.forces["InfoNCE"].anchor, before["InfoNCE"].anchor)
    assert torch.equal(
        board.forces["pull only"].anchor, before["pull only"].anchor
    )  # it takes no temperature
    assert (before["pull only"].negatives == 0).all() and "pull only: 0" in board.sentence
    again = ForceArrows({"pull only": pull}, seed=0).scene
    assert torch.equal(board.scene.negatives, again.negatives)
    assert not torch.equal(ForceArrows({"pull only": pull}, seed=1).scene.negatives, again.negatives)
    assert board._bundle()["text/plain"].endswith(".")


def test_losses_that_cannot_be_drawn_are_named() -> None:
    for loss, words in (
        (lambda a, p, n: a.sum() / 0, "one finite number"),
        (lambda a, p, n: a @ n.T, "one finite number"),
        (lambda a, p, n: a.detach().sum(), "no gradient"),
    ):
        with pytest.raises(ValueError, match=rf"losses\['mine'\]: it .*{words}"):
            ForceArrows({"mine": loss})
    with pytest.raises(ValueError, match="1 to 8"):
        ForceArrows({})
    with pytest.raises(ValueError, match="1 to 4 positives"):
        ForceArrows({"pull only": pull}, positives=5)
    with pytest.raises(ValueError, match="anchor"):
        ForceArrows({"pull only": pull}, anchor=400)
    zero = forces(pull, Scene(*(torch.eye(2, dtype=torch.double) for _ in range(3)))).negatives
    assert (zero == 0).all()
