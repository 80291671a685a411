"""The ladder counts the worst case sample by sample; intervals hold; nine checks find who hides its gradients."""

import itertools
import math

import pytest
import torch
from scipy import optimize, stats

from sslwork import attacks, data, nets, robust
from sslwork.data.pictures import to_float
from sslwork.seeds import generator

EPS = 0.15
PGD = "PGD: nothing stands before the network"


@pytest.fixture(scope="module")
def digits():
    pictures = data.load("digits")
    test = pictures[slice(1500, 1580)]
    return pictures[slice(1500)], to_float(test.images), test.labels


@pytest.fixture(scope="module")
def honest(digits):
    """A network trained with PGD-AT."""
    net = nets.small_conv(4, 2, seed=0)
    inner = robust.ascent(eps=EPS, n_iter=3)
    robust.fit(net, digits[0], inner=inner, steps=120, lr=5e-3, eps_ramp=0.5, progress=False)
    return net.eval()


@pytest.fixture(scope="module")
def standard(digits):
    net = nets.small_conv(8, 2, seed=1)
    robust.fit(net, digits[0], steps=120, lr=5e-3, progress=False)
    return net.eval()


@pytest.fixture(scope="module")
def climbed(honest, digits):
    """What the ladder leaves of the honest network."""
    return attacks.evaluate(honest, *digits[1:], eps=EPS)


# Intervals


@pytest.mark.parametrize(("k", "n"), [(0, 20), (1, 20), (10, 20), (20, 20), (830, 1000), (1, 1)])
def test_wilson_holds_the_shares_that_a_score_test_keeps(k, n):
    """Its ends solve |p - q| = z sqrt(q (1 - q) / n), and it is scipy's interval."""
    low, high = attacks.wilson(k, n)
    theirs = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    p, z = k / n, stats.norm.ppf(0.975)

    def off(q):
        return abs(p - q) - z * math.sqrt(q * (1 - q) / n)

    if k:
        assert low == pytest.approx(optimize.brentq(off, 1e-12, p - 1e-12), abs=1e-9)
    if k < n:
        assert high == pytest.approx(optimize.brentq(off, p + 1e-12, 1 - 1e-12), abs=1e-9)
    assert 0 <= low <= p <= high <= 1


def test_wilson_refuses_what_is_no_share():
    for k, n in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="0 <= k <= n"):
            attacks.wilson(k, n)


def test_there_is_no_accuracy_of_nothing(standard, digits):
    with pytest.raises(ValueError, match="x holds no samples"):
        attacks.accuracy(standard, digits[1][:0], digits[2][:0])


# The ladder


def test_the_ladder_falls_and_each_stage_tries_only_what_is_left(honest, digits, climbed):
    _, x, y = digits
    kept = attacks.survivors(honest, x, y, eps=EPS)
    assert list(kept) == ["clean", *attacks.LADDER]
    for before, after in itertools.pairwise(kept.values()):
        assert not (after & ~before).any()  # nobody comes back
    table = climbed
    assert table["accuracy"].tolist() == [float(left.double().mean()) for left in kept.values()]
    assert table["tried"].tolist() == [len(x), *[int(left.sum()) for left in kept.values()][:-1]]
    assert (table["tried"] - table["broken"]).tolist() == [int(left.sum()) for left in kept.values()]
    for row in table.itertuples():
        assert (row.low, row.high) == attacks.wilson(round(row.accuracy * len(x)), len(x))


def test_worst_case_by_hand(standard, digits):
    """A sample counts only if it is right clean and under every attack, each of which gets the samples still right."""
    _, x, y = digits
    draws = {name: EPS * torch.randn(x.shape, generator=generator(i)).sign() for i, name in enumerate("ab")}
    ladder = [
        (name, lambda model, at, _, *, noise=noise, **more: (at + noise[: len(at)]).clamp(0, 1))
        for name, noise in draws.items()
    ]
    kept = attacks.survivors(standard, x, y, eps=EPS, ladder=ladder)
    left = [n for n in range(len(x)) if standard(x[n : n + 1]).argmax() == y[n]]
    assert kept["clean"].nonzero().flatten().tolist() == left
    for name, noise in draws.items():
        moved = (x[left] + noise[: len(left)]).clamp(0, 1)
        left = [n for n, row in zip(left, moved, strict=True) if standard(row[None]).argmax() == y[n]]
        assert kept[name].nonzero().flatten().tolist() == left


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_at_eps_zero_every_stage_has_exactly_the_clean_accuracy(standard, honest, digits, norm):
    _, x, y = digits
    table = attacks.evaluate(standard, x, y, eps=0.0, norm=norm, other=honest)
    assert table["accuracy"].nunique() == 1
    assert table["accuracy"].iloc[0] == attacks.accuracy(standard, x, y) > 0.9
    assert ("Square, 500 queries" in table.index) == (norm == "linf") and table.index[-1] == "transfer"


def test_training_against_the_attack_helps_and_transfer_is_weaker(standard, honest, digits, climbed):
    _, x, y = digits
    hard, soft = (
        table["accuracy"].iloc[-1] for table in (climbed, attacks.evaluate(standard, x, y, eps=EPS))
    )
    assert hard > soft + 0.2
    alone = attacks.evaluate(standard, x, y, eps=EPS, ladder=[], other=honest)
    assert alone.index.tolist() == ["clean", "transfer"] and alone["accuracy"].iloc[-1] > soft


def test_two_classes_still_climb_the_ladder(digits):
    pictures = digits[0]
    pair = pictures[(pictures.labels < 2).nonzero().flatten()]
    net = nets.small_conv(2, 2, classes=2)
    robust.fit(net, pair, steps=20, progress=False)
    table = attacks.evaluate(net, to_float(pair.images[:30]), pair.labels[:30], eps=0.4)
    assert table["accuracy"].iloc[-1] < table["accuracy"].iloc[0]


def test_the_ladder_refuses_what_cannot_count(standard, digits):
    _, x, y = digits
    with pytest.raises(ValueError, match="there is no stage 'FAB'"):
        attacks.evaluate(standard, x, y, eps=EPS, ladder=["FAB"])
    with pytest.raises(ValueError, match="an attack of l_inf"):
        attacks.evaluate(standard, x, y, eps=EPS, norm="l2", ladder=["Square, 500 queries"])
    for found, words in (
        (lambda at: at + 1, "left the ball"),
        (lambda at: at * math.nan, "left the ball"),
        (lambda at: at[:1], "keeps the shape"),
    ):
        with pytest.raises(ValueError, match=words):
            attacks.evaluate(
                standard, x, y, eps=EPS, ladder=[("far", lambda m, at, _, f=found, **more: f(at))]
            )


# Hidden gradients


def reported(model, digits, **more):
    _, x, y = digits
    report = attacks.masking_report(model, x, y, eps=EPS, **{"adaptive": PGD} | more)
    assert len(report) == 9 and list(report) == ["passed", "figure", "meaning"]
    return report.rename(index=lambda name: int(name[0]))


def failed(model, digits, **more):
    report = reported(model, digits, **more)
    return set(report.index[~report["passed"]])


def restoring(model, digits, low, high=math.inf):
    """A defence that knows its pictures: where the largest change lies between `low` and `high`, it takes the change back."""
    known = digits[1]

    def guarded(at):
        far, nearest = torch.cdist(at.detach().flatten(1), known.flatten(1), p=math.inf).min(1)
        back = ((low < far) & (far < high))[:, None, None, None]
        return model(torch.where(back, known[nearest], at))

    return guarded


def test_honest_networks_pass_all_nine(honest, standard, digits):
    assert failed(honest, digits, other=standard) == set()
    assert failed(standard, digits, other=honest) == set()
    assert failed(standard, digits, norm="l2", other=honest) == set()


def test_a_defence_that_tires_of_questions_is_found(standard, digits):
    """After thirty looks it always says the same: the attack's own questions, not its changes, cost the accuracy."""
    looks = itertools.count()

    def tired(x):
        return standard(x) * float(next(looks) < 30)

    report = reported(tired, digits)
    assert not report.passed[1]
    zero, clean = map(float, report.figure[1].split(" of "))
    assert zero < 0.3 and clean == pytest.approx(attacks.accuracy(standard, *digits[1:]), abs=5e-4)


def test_a_defence_that_sets_in_for_large_changes_alone_is_found(standard, digits):
    """Half the radius breaks it, the whole radius does not: the attack stops where it is taken back."""
    report = reported(restoring(standard, digits, 0.7 * EPS), digits)
    assert not report.passed[2] and report.passed[1]
    clean, _, half, whole, twice = map(float, report.figure[2].split())
    assert half < clean - 0.2 and whole == twice == clean


def test_a_defence_that_only_a_leap_gets_over_is_found(standard, digits):
    """One step to the rim breaks it, twenty small ones are taken back."""
    report = reported(restoring(standard, digits, 0.02 * EPS, 0.999 * EPS), digits)
    assert not report.passed[4]
    single, many, _ = (float(each.split()[1]) for each in report.figure[4].split(", "))
    assert single < many - 0.2


def test_a_quantised_input_is_found(standard, digits):
    """Rounding has no gradient: PGD is blind, examples of another network and Square are not."""
    assert {3, 5, 6, 8} <= failed(lambda x: standard((x * 3).round() / 3), digits)


def test_a_quantiser_with_a_borrowed_gradient_is_a_staircase_still(standard, digits):
    def quantised(x):
        return standard(x + ((x * 3).round() / 3 - x).detach())

    assert failed(quantised, digits) == {8}


def test_a_saturated_softmax_is_found(standard, digits):
    """Logits a thousand times as large: the answers are the same, cross-entropy's gradient is gone, DLR's is not."""

    def loud(x):
        return 1000 * standard(x)

    assert {5, 6} <= failed(loud, digits)
    _, x, y = digits
    by = [attacks.accuracy(loud, attacks.pgd(loud, x, y, eps=EPS, loss=loss), y) for loss in ("ce", "dlr")]
    assert by[1] < by[0] - 0.1


def test_a_random_defence_is_found_and_eot_answers_it(standard, digits):
    draw = generator(3)

    def noisy(x):
        return standard((x + 0.5 * torch.randn(x.shape, generator=draw)).clamp(0, 1))

    assert 7 in failed(noisy, digits)
    assert 7 not in failed(noisy, digits, eot=2)


def test_a_report_names_the_adaptive_attack_and_needs_a_ball(honest, digits):
    assert failed(honest, digits, adaptive=None) == {9}
    with pytest.raises(ValueError, match="eps must be above 0"):
        attacks.masking_report(honest, digits[1], digits[2], eps=0.0)
