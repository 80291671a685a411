"""SRAT: weights of classes, features kept apart, and the line on which one sees why."""

import math

import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from sslwork import losses, nets, robust
from sslwork.data import PictureSet
from sslwork.plots import imbalance
from sslwork.robust.srat import SRAT, effective_weights, errors, threshold
from sslwork.seeds import generator


def test_effective_numbers():
    counts = torch.tensor([4, 2, 1])
    for beta, effective in {
        0.0: [1, 1, 1],
        0.5: [1.875, 1.5, 1],
        1.0: [4, 2, 1],
        1 - 1e-9: [4, 2, 1],
    }.items():
        weights = effective_weights(counts, beta)
        wanted = 1 / torch.tensor(effective, dtype=torch.float)
        torch.testing.assert_close(weights, 3 * wanted / wanted.sum())
        assert weights.sum().item() == pytest.approx(3)
    long = effective_weights([100_000, 10], 0.9999)
    assert (long[1] / long[0]).item() == pytest.approx((1 - 0.9999**100_000) / (1 - 0.9999**10), rel=1e-5)


@pytest.fixture(scope="module")
def noise():
    return PictureSet(torch.rand(48, 1, 8, 8, generator=generator(0)), torch.arange(48) % 4)


def trained(noise, **way):
    model = nets.small_conv(4, 2, classes=4)
    curve = robust.fit(
        model, noise, inner=robust.ascent(eps=0.1, n_iter=2), steps=3, batch_size=24, progress=False, **way
    )
    return curve, torch.cat([p.detach().flatten() for p in model.parameters()])


def test_without_weights_and_price_it_is_adversarial_training(noise):
    plain = SRAT([1.0] * 4, lam=0)
    (curve, weights), (same, others) = trained(noise, weight=plain.weight, extra=plain.extra), trained(noise)
    assert curve == same and torch.equal(weights, others)


def test_the_loss_is_that_of_the_attacked_rows(noise):
    model, way = nets.small_conv(4, 2, classes=4), SRAT([1, 2, 3, 4], lam=0.7, temperature=0.3)
    x, y = noise.images[:12].float() / 255, noise.labels[:12]
    attacked = (x + 0.1).clamp(max=1)
    torch.testing.assert_close(way.weight(torch.zeros(12), y), 1.0 + y)
    wanted = 0.7 * losses.supcon(model.features(attacked), y, temperature=0.3)
    torch.testing.assert_close(way.extra(model, x, attacked, y), wanted)
    assert way.extra(model, attacked, x, y) != wanted  # clean rows would give another


def test_weights_do_not_depend_on_what_is_in_the_batch_and_may_come_late():
    way = SRAT([1, 5], uniform_steps=2)
    one, two = torch.tensor([0, 1]), torch.tensor([1, 1, 1])
    assert way.weight(torch.zeros(2), one).tolist() == [1, 1]
    assert way.weight(torch.zeros(3), two).tolist() == [1, 1, 1]
    assert way.weight(torch.zeros(3), two).tolist() == [5, 5, 5]
    assert way.weight(torch.zeros(2), one).tolist() == [1, 5]


@pytest.mark.parametrize(("q", "eps", "std"), [(1, 0.0, 1.0), (10, 0.5, 0.7), (300, 0.2, 1.3)])
def test_the_cut_has_the_least_weighted_robust_error(q, eps, std):
    def price(t):
        frequent, rare = norm.cdf((-(1 - eps) - t) / std), norm.cdf((-(1 - eps) + t) / std)
        return 100 * frequent + q * rare

    t = threshold(q, ratio=100, mean=1, eps=eps, std=std)
    assert t == pytest.approx(
        minimize_scalar(price, bounds=(t - 3, t + 3), method="bounded", options={"xatol": 1e-9}).x, abs=1e-4
    )
    case = {"mean": 1, "eps": eps, "std": std}
    frequent, rare = errors(t, **case)
    assert 100 * frequent + q * rare == pytest.approx(price(t))
    step = threshold(q * math.e, ratio=100, **case) - t
    assert step == pytest.approx(-(std**2) / (2 * (1 - eps)))


def test_the_line_in_numbers():
    case = {"mean": 1, "std": 1}
    assert threshold(100, ratio=100, eps=0.3, **case) == 0
    assert threshold(1, ratio=100, eps=0, **case) == pytest.approx(2.303, abs=1e-3)
    assert threshold(1, ratio=100, eps=0.5, **case) == pytest.approx(4.605, abs=1e-3)
    frequent, rare = errors(4.605, eps=0.5, **case)
    assert frequent < 1e-6 and rare > 0.9999  # the rare class is never named
    assert errors(0, eps=0.5, **case) == pytest.approx((norm.cdf(-0.5),) * 2)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r"eps must lie in 0\.\.mean"):
        threshold(1, ratio=10, mean=1, eps=1, std=1)
    with pytest.raises(ValueError, match="counts must name 1 sample"):
        effective_weights([3, 0], 0.9)
    with pytest.raises(ValueError, match=r"beta must lie in 0\.\.1"):
        effective_weights([3, 1], 1.1)
    with pytest.raises(ValueError, match="weights must be one number"):
        SRAT([1, -1])
    with pytest.raises(ValueError, match="label 2 has no weight"):
        SRAT([1, 1]).weight(torch.zeros(1), torch.tensor([2]))
    with pytest.raises(ValueError, match="std must be a finite number above 0"):
        errors(0.0, mean=1, eps=0.5, std=0)


class Trades:
    arms = ("one", "two")

    def values(self, arm, measure):
        return [len(arm) + len(measure), 4.0]


def test_its_figures():
    fig = imbalance.bells(0.5, 100, 10, mean=1, eps=0.2, std=0.8)
    assert [len(ax.lines) for ax in fig.axes] == [5, 3]
    fig = imbalance.trade(Trades(), {"both": ["one", "two"]}, "x", "up", {"one": "w = 1"})
    assert fig.axes[0].get_xlabel() == "x" and [t.get_text() for t in fig.axes[0].texts] == ["w = 1", ""]
    with pytest.raises(ValueError, match="lines is empty"):
        imbalance.trade(Trades(), {}, "x", "up", {})
