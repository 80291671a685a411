"""The attack loop: closed forms on linear models, what must stay within, what must never weaken, bad input."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sslwork import attacks, nets
from sslwork.attacks import norms
from sslwork.attacks.apgd import checkpoints
from sslwork.attacks.objectives import NAMED
from sslwork.seeds import generator, seeded

EVERY_NORM = ("linf", "l2")
D = torch.float64


def uniform(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=generator(seed), dtype=dtype)


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


@pytest.fixture(scope="module")
def net():
    """An untrained network with a few confident answers."""
    return nets.small_conv(4, 2, seed=3)


@pytest.fixture(scope="module")
def pictures(net):
    x = uniform(40, 1, 8, 8)
    return x, net(x).argmax(1)  # all named right: an attack has something to do


# Projection and steps


@pytest.mark.parametrize("norm", norms.NORMS)
def test_projection_by_its_formula_and_idempotent(norm):
    delta, eps = normal(5, 4, 6, dtype=D), 0.7
    found = attacks.project(delta, norm, eps)
    for n, t, i in itertools.product(range(5), range(4), range(6)):
        rows = {"linf": None, "l2": delta[n], "l2 per token": delta[n, t]}[norm]
        if rows is None:
            wanted = max(-eps, min(eps, float(delta[n, t, i])))
        else:
            size = math.sqrt(sum(float(v) ** 2 for v in rows.flatten()))
            wanted = float(delta[n, t, i]) * min(1.0, eps / size)
        assert float(found[n, t, i]) == pytest.approx(wanted, abs=1e-12)
    torch.testing.assert_close(attacks.project(found, norm, eps), found, rtol=1e-12, atol=1e-14)
    inside = found * 0.5
    assert torch.equal(attacks.project(inside, norm, eps), inside)
    assert float(norms.length(found, norm).max()) <= eps + 1e-12
    assert not attacks.project(delta, norm, 0.0).any()


@pytest.mark.parametrize("norm", norms.NORMS)
def test_random_points_fill_the_ball(norm):
    x = torch.zeros(2000, 2, 3, dtype=D)
    sizes = norms.length(norms.random_point(x, norm, 0.5, generator(0)), norm)
    assert float(sizes.max()) <= 0.5 + 1e-6
    free = 6  # of 6 numbers the share (1/2)^6 lies within half the radius, for one token of three 1/8 each: 1/64 too
    assert float((sizes < 0.25).double().mean()) == pytest.approx(0.5**free, abs=0.012)


# Objectives


def test_objectives_by_their_formulas():
    logits, y = 3 * normal(6, 5, dtype=D), torch.tensor([0, 1, 2, 3, 4, 0])
    other, target = normal(6, 5, seed=1, dtype=D), (y + 2) % 5
    for n, z in enumerate(logits.tolist()):
        own, ordered = z[y[n]], sorted(z, reverse=True)
        best = max(z[: y[n]] + z[y[n] + 1 :])
        p, q = other[n].softmax(0).tolist(), logits[n].softmax(0).tolist()
        wanted = {
            "ce": math.log(sum(map(math.exp, z))) - own,
            "margin": best - own,
            "dlr": -(own - best) / (ordered[0] - ordered[2] + 1e-12),
            "kl": sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)),
        }
        for name, value in wanted.items():
            found = NAMED[name](logits, other if name == "kl" else y)[n]
            assert float(found) == pytest.approx(value, rel=1e-10), name
        towards = -(own - z[target[n]]) / (ordered[0] - (ordered[2] + ordered[3]) / 2 + 1e-12)
        assert float(attacks.dlr_targeted(logits, y, target)[n]) == pytest.approx(towards, rel=1e-10)
    wrong = logits.argmax(1) != y
    assert torch.equal(attacks.margin(logits, y) > 0, wrong) and torch.equal(
        attacks.dlr(logits, y) > 0, wrong
    )


def test_objectives_are_differentiable():
    logits, y = normal(3, 5, dtype=D).requires_grad_(), torch.tensor([0, 4, 2])
    for loss in (attacks.cross_entropy, attacks.margin, attacks.dlr):
        assert torch.autograd.gradcheck(lambda z, loss=loss: loss(z, y), logits)
    assert torch.autograd.gradcheck(lambda z: attacks.kl(z, normal(3, 5, seed=1, dtype=D)), logits)
    assert torch.autograd.gradcheck(lambda z: attacks.dlr_targeted(z, y, (y + 1) % 5), logits)


def test_dlr_does_not_see_scale_or_shift():
    logits, y = normal(8, 5, dtype=D), torch.arange(8) % 5
    for scale, shift in ((1000.0, 0.0), (0.01, -7.0), (3.0, 100.0)):
        moved = scale * logits + shift
        torch.testing.assert_close(attacks.dlr(moved, y), attacks.dlr(logits, y), rtol=1e-7, atol=1e-8)
        torch.testing.assert_close(
            attacks.dlr_targeted(moved, y, (y + 1) % 5), attacks.dlr_targeted(logits, y, (y + 1) % 5),
            rtol=1e-7, atol=1e-8,
        )  # fmt: skip


# Closed forms


@pytest.mark.parametrize("norm", EVERY_NORM)
def test_a_linear_model_flips_if_and_only_if_the_ball_reaches_the_boundary(norm):
    """max over the ball of -y(wx + b) is -margin + eps ||w||_*, with ||w||_1 for l_inf and ||w||_2 for l_2."""
    w, b, eps = normal(12, dtype=D), 0.1, 0.3
    x = normal(60, 12, seed=1, dtype=D)
    score = x @ w + b
    y = (score < 0).long()  # each named right

    def model(rows):
        s = rows @ w + b
        return torch.stack([s, -s], 1)

    reach = eps * float(w.abs().sum() if norm == "linf" else w.norm())
    found = attacks.pgd(model, x, y, norm=norm, eps=eps, box=None, random_start=False)
    torch.testing.assert_close(
        (found @ w + b).abs()[score.abs() > reach], (score.abs() - reach)[score.abs() > reach]
    )
    assert torch.equal(~attacks.right(model, found, y), score.abs() < reach)
    single = attacks.fgsm(model, x, y, norm=norm, eps=eps, box=None)
    assert torch.equal(~attacks.right(model, single, y), score.abs() < reach)
    adaptive = attacks.apgd(model, x, y, norm=norm, eps=eps, box=None, loss="margin")
    assert torch.equal(~attacks.right(model, adaptive, y), score.abs() < reach)


def test_fgsm_by_its_formula(net, pictures):
    x, y = pictures
    (gradient,) = torch.autograd.grad(F.cross_entropy(net(at := x.clone().requires_grad_()), y), at)
    torch.testing.assert_close(attacks.fgsm(net, x, y, eps=0.1), (x + 0.1 * gradient.sign()).clamp(0, 1))
    wanted = (y + 1) % 10
    (gradient,) = torch.autograd.grad(F.cross_entropy(net(at := x.clone().requires_grad_()), wanted), at)
    torch.testing.assert_close(
        attacks.fgsm(net, x, wanted, eps=0.1, targeted=True), (x - 0.1 * gradient.sign()).clamp(0, 1)
    )


@pytest.mark.parametrize("norm", EVERY_NORM)
def test_pgd_by_a_loop_over_single_pictures(norm):
    net, x, eps, step = nets.small_conv(2, 2, seed=1).double(), uniform(3, 1, 6, 6, dtype=D), 0.3, 0.1
    y = net(x).argmax(1)
    found = attacks.pgd(net, x, y, norm=norm, eps=eps, step=step, n_iter=4, random_start=False)
    for n in range(3):
        at, best, highest = x[n : n + 1], None, -math.inf
        for _ in range(5):
            at = at.detach().requires_grad_()
            loss = F.cross_entropy(net(at), y[n : n + 1])
            if loss.item() > highest:
                best, highest = at.detach(), loss.item()
            (g,) = torch.autograd.grad(loss, at)
            delta = at.detach() - x[n] + step * (g.sign() if norm == "linf" else g / g.norm())
            delta = delta.clamp(-eps, eps) if norm == "linf" else delta * min(1.0, eps / float(delta.norm()))
            at = (x[n] + delta).clamp(0, 1)
        torch.testing.assert_close(found[n : n + 1], best, rtol=1e-7, atol=1e-9)


def test_a_step_is_two_and_a_half_radii_shared_out():
    far = []
    attacks.pgd(
        None, torch.zeros(1, 1, dtype=D), loss=lambda at, _: at.sum(1), eps=1.0, n_iter=20, random_start=False, box=None,
        callback=lambda k, at, raised: far.append(float(at)),
    )  # fmt: skip
    assert far == pytest.approx([min(1.0, 2.5 / 20 * k) for k in range(21)])


# What must hold of every attack

ATTACKS = {
    "fgsm": attacks.fgsm, "pgd": attacks.pgd, "apgd": attacks.apgd, "apgd_targeted": attacks.apgd_targeted,
    "square": attacks.square,
}  # fmt: skip
CASES = [(name, norm) for name in ATTACKS for norm in EVERY_NORM if (name, norm) != ("square", "l2")]


def attacked(name, norm, net, x, y, **more):
    return ATTACKS[name](net, x, y, **({} if name == "square" else {"norm": norm}), **more)


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_stays_in_ball_and_box_repeats_and_leaves_the_model_alone(name, norm, net, pictures):
    (x, y), eps = pictures, 0.2
    net.train()
    net.head.eval()
    found = attacked(name, norm, net, x, y, eps=eps)
    assert net.training and not net.head.training  # as it was
    assert all(p.grad is None for p in net.parameters()) and not found.requires_grad
    assert float(norms.length(found - x, norm).max()) <= eps + 1e-6
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    assert torch.equal(found, attacked(name, norm, net, x, y, eps=eps))
    with torch.no_grad():  # a caller's own mode changes nothing
        assert torch.equal(found, attacked(name, norm, net, x, y, eps=eps))
    assert torch.equal(attacked(name, norm, net, x, y, eps=0.0), x)
    assert attacks.accuracy(net, found, y) < attacks.accuracy(net, x, y) == 1
    assert attacked(name, norm, net, x[:0], y[:0], eps=eps).shape == x[:0].shape


@pytest.mark.parametrize(("name", "norm"), [case for case in CASES if case[0] != "square"])
def test_what_is_found_does_not_depend_on_the_batch(name, norm, net, pictures):
    """The loss is summed, so that the gradient of a picture is its own; without random starts row by row the same."""
    net, x, y = net, pictures[0][:6], pictures[1][:6]
    start = {} if name == "fgsm" else {"random_start": False}
    whole = attacked(name, norm, net.double(), x.double(), y, eps=0.1, **start)
    for n in range(6):
        alone = attacked(name, norm, net, x[n : n + 1].double(), y[n : n + 1], eps=0.1, **start)
        torch.testing.assert_close(alone, whole[n : n + 1], rtol=1e-9, atol=1e-9)
    net.float()


def test_batch_normalisation_takes_no_notice_of_an_attack():
    net = nets.small_conv(4, 2, batch_norm=True).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = uniform(8, 1, 8, 8)
    attacks.pgd(net, x, torch.zeros(8, dtype=torch.long), eps=0.1)
    attacks.accuracy(net, x, torch.zeros(8, dtype=torch.long))
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_the_mode_is_restored_after_an_error(net, pictures):
    x, y = pictures
    net.train()
    for attack in (attacks.pgd, attacks.apgd, attacks.square):
        with pytest.raises(ValueError, match="y holds class 11"):
            attack(net, x, torch.full_like(y, 11), eps=0.1)
        assert all(m.training for m in net.modules())


# More is never weaker


def test_more_steps_restarts_and_a_larger_ball_never_lower_the_best_loss(net, pictures):
    x, y = pictures

    def loss(**more):
        with torch.no_grad():
            return attacks.cross_entropy(net(attacks.pgd(net, x, y, **{"eps": 0.1, "step": 0.02} | more)), y)

    few, many = loss(n_iter=5), loss(n_iter=15)
    assert bool((many >= few).all())  # the same path, longer
    assert bool((loss(n_iter=5, restarts=3) >= few).all())  # the first restart is the same
    sizes = [
        float(loss(n_iter=20, eps=eps, step=eps / 8, random_start=False).mean())
        for eps in (0.0, 0.05, 0.1, 0.2)
    ]
    assert sizes == sorted(sizes)


def test_the_best_iterate_is_kept_not_the_last():
    """On a loss with a hill a long step jumps over, the top that was seen comes back."""

    def hill(at, _):
        return -((at - 0.53) ** 2).sum(1)

    x, seen = torch.full((2, 3), 0.5, dtype=D), []
    found = attacks.pgd(
        None, x, loss=hill, eps=0.3, step=0.2, n_iter=5, random_start=False, callback=lambda k, at, raised: seen.append(at)
    )  # fmt: skip
    best = max(seen, key=lambda at: float(hill(at, None).sum()))
    assert len(seen) == 6 and torch.equal(found, best) and not torch.equal(found, seen[-1])
    last = attacks.pgd(None, x, loss=hill, eps=0.3, step=0.2, n_iter=5, random_start=False, keep_best=False)
    assert torch.equal(last, seen[-1])


# APGD and Square


def test_checkpoints_by_their_recursion():
    p = [0.0, 0.22]
    while p[-1] + max(p[-1] - p[-2] - 0.03, 0.06) <= 1:
        p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
    for n in (10, 50, 100, 1000):
        assert checkpoints(n) == sorted({math.ceil(round(share * n, 9)) for share in p[1:]})
    assert p == pytest.approx([0, 0.22, 0.41, 0.57, 0.70, 0.80, 0.87, 0.93, 0.99])


def apgd_by_hand(net, x, y, norm, eps, n):
    """One picture, step by step from the formulas."""

    def pi(at):
        d = at - x
        d = d.clamp(-eps, eps) if norm == "linf" else d * min(1.0, eps / max(float(d.norm()), 1e-30))
        return (x + d).clamp(0, 1)

    def look(at):
        loss = F.cross_entropy(net(at.requires_grad_()), y)
        (g,) = torch.autograd.grad(loss, at)
        return at.detach(), loss.item(), g.sign() if norm == "linf" else g / g.norm()

    best = now = look(x.clone())
    before, eta, rose, was_halved, best_then = now[0], 2 * eps, [], False, now[1]
    for k in range(n):
        u, a = pi(now[0] + eta * now[2]), 0.75 if k else 1.0
        before, last, now = now[0], now, look(pi(now[0] + a * (u - now[0]) + (1 - a) * (now[0] - before)))
        rose.append(now[1] > last[1])
        best = max(best, now, key=lambda point: point[1])
        if k + 1 in checkpoints(n):
            was_halved = sum(rose) < 0.75 * len(rose) or (not was_halved and best[1] == best_then)
            eta, now = (eta / 2, best) if was_halved else (eta, now)
            rose, best_then = [], best[1]
    return best[0]


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.1), ("l2", 0.6)])
def test_apgd_by_a_loop_over_single_pictures(norm, eps):
    net, x = nets.small_conv(3, 2, seed=2).double(), uniform(4, 1, 6, 6, dtype=D)
    y = net(x).argmax(1)
    found = attacks.apgd(net, x, y, norm=norm, eps=eps, n_iter=40, random_start=False)
    for n in range(4):
        by_hand = apgd_by_hand(net, x[n : n + 1], y[n : n + 1], norm, eps, 40)
        torch.testing.assert_close(found[n : n + 1], by_hand, rtol=1e-6, atol=1e-6)


def test_apgd_goes_back_where_the_best_stays_the_best():
    """The loss climbs at nearly every step and never comes up to the start: back at a checkpoint, not at two in a row."""
    heights, seen = itertools.chain([9.0], itertools.count(1.0, 0.01)), []
    attacks.apgd(
        None, torch.zeros(1, 1, dtype=D), loss=lambda at, _: next(heights) + (at - at.detach()).sum(1), eps=1.0,
        n_iter=100, random_start=False, box=None, callback=lambda k, at, raised: seen.append(float(at)),
    )  # fmt: skip
    assert [seen[mark] == 0 for mark in checkpoints(100)[:4]] == [True, False, True, False]


def test_apgd_halves_its_step_where_it_overshoots():
    """On a hill narrower than the first step, 2 eps, it still comes to the top."""
    top = torch.tensor([[0.52, 0.47, 0.55]], dtype=D)
    found = attacks.apgd(
        None, torch.full((1, 3), 0.5, dtype=D), loss=lambda at, _: -((at - top) ** 2).sum(1), eps=0.3, norm="l2",
        n_iter=100, random_start=False,
    )  # fmt: skip
    assert float((found - top).norm()) < 0.01


def test_apgd_raises_the_loss_at_least_as_pgd_does(net, pictures):
    x, y = pictures
    reached = [
        attacks.cross_entropy(net(attack(net, x, y, eps=0.1, n_iter=50)), y).mean().item()
        for attack in (attacks.apgd, attacks.pgd)
    ]
    assert reached[0] > 0.98 * reached[1]


def test_square_counts_its_queries_and_asks_no_more_once_it_has_won(net, pictures):
    x, y = pictures
    shown = []

    def counting(batch):
        shown.append(len(batch))
        with torch.no_grad():  # it needs no gradient
            return net(batch)

    found = attacks.square(counting, x, y, eps=0.2, n_queries=60)
    lost = ~attacks.right(net, found, y)
    assert lost.any() and sum(shown[1:]) < 60 * len(x) and max(shown) <= len(x) and len(shown) <= 61
    assert shown[1:] == sorted(shown[1:], reverse=True)
    hopeless = attacks.square(counting, x, y, eps=0.0, n_queries=7)
    assert shown[-7:] == [len(x)] * 7 and torch.equal(hopeless, x)


def test_square_draws_stripes_and_then_squares_that_shrink():
    """Of a model that never errs, nothing but the stripes is kept: every later picture is these with one square drawn in."""
    x, shown = torch.full((1, 3, 32, 32), 0.5, dtype=D), []

    def sure(batch):
        shown.append(batch[0] - 0.5)
        return torch.tensor([[1.0, 0.0]], dtype=D).repeat(len(batch), 1)

    attacks.square(sure, x, torch.tensor([0]), eps=0.25, n_queries=200)
    stripes, signs = shown[1], set()
    assert torch.equal(stripes, stripes[:, :1].expand(3, 32, 32)) and len(stripes[:, 0].unique(dim=1).T) > 4
    for query, halvings in ((1, 1), (2, 2), (5, 3), (30, 5), (90, 7)):
        drawn = shown[1 + query]
        assert torch.equal(drawn.abs(), torch.full_like(x[0], 0.25))
        rows, columns = (drawn != stripes).any(0).nonzero().T
        side = round((0.8 / 2**halvings * 32 * 32) ** 0.5)
        inside = drawn[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].flatten(1)
        assert rows.max() - rows.min() + 1 == side >= columns.max() - columns.min() + 1
        assert torch.equal(inside, inside[:, :1].expand_as(inside))  # one sign per channel
        signs.add(tuple(inside[:, 0].tolist()))
    assert any(len(set(each)) == 2 for each in signs)


def test_square_never_lowers_the_margin_and_works_on_corners_of_the_ball(net, pictures):
    x, y = pictures
    curve = []
    found = attacks.square(
        net, x, y, eps=0.1, n_queries=40, box=None, callback=lambda k, at, m: curve.append(m.clone())
    )
    assert all(bool((b >= a).all()) for a, b in itertools.pairwise(curve))
    torch.testing.assert_close((found - x).abs(), torch.full_like(x, 0.1))


# The one loop in other uses


def test_targeted_reaches_the_class_it_wants(net, pictures):
    x, _ = pictures
    wanted = torch.full((len(x),), int(net(x).mean(0).argsort()[-2]))
    for loss in ("ce", "margin", "dlr"):
        found = attacks.pgd(net, x, wanted, eps=0.5, targeted=True, loss=loss)
        assert attacks.accuracy(net, found, wanted) > attacks.accuracy(net, x, wanted) + 0.2


def test_the_inner_problem_of_trades_needs_no_labels_and_a_start_off_x(net, pictures):
    x, _ = pictures
    clean = net(x).detach()
    near = attacks.pgd(net, x, loss="kl", eps=0.1, random_start=0.001)
    stuck = attacks.pgd(net, x, loss="kl", eps=0.1, random_start=False, n_iter=1)
    assert float(attacks.kl(net(near), clean).detach().min()) > 1e-6
    assert float(attacks.kl(clean, clean).abs().max()) < 1e-6 and stuck.shape == x.shape


def test_tokens_are_bounded_each_and_a_rule_keeps_the_reply_untouched():
    e, eps = normal(3, 5, 8), 0.05
    prompt = (torch.arange(5) < 3).float()[:, None]  # (T, 1)
    weights = normal(5, 8, seed=2)
    found = attacks.pgd(
        None, e, loss=lambda at, _: (at * weights).sum((1, 2)), norm="l2 per token", eps=eps, step=1e-4, n_iter=1,
        box=None, random_start=False, project=lambda delta: delta * prompt,
    )  # fmt: skip
    assert not (found - e)[:, 3:].any()
    torch.testing.assert_close(
        (found - e)[:, :3], 1e-4 * weights[:3].sign().expand(3, -1, -1), rtol=1e-2, atol=1e-6
    )
    far = attacks.pgd(
        None, e, loss=lambda at, _: (at * weights).sum((1, 2)), norm="l2 per token", eps=eps, step=eps, n_iter=1,
        box=None, random_start=False,
    )  # fmt: skip
    torch.testing.assert_close((far - e).norm(dim=-1), torch.full((3, 5), eps), rtol=1e-4, atol=1e-6)


def test_one_perturbation_for_many_pictures(net, pictures):
    """A single row is attacked; the loss adds it to all pictures."""
    x, y = pictures
    shared = attacks.pgd(
        None, torch.zeros(1, 1, 8, 8), eps=0.2, box=None,
        loss=lambda delta, _: attacks.margin(net((x + delta).clamp(0, 1)), y).mean()[None],
    )  # fmt: skip
    signs = 0.2 * normal(1, 1, 8, 8, seed=5).sign()
    assert float(shared.abs().max()) <= 0.2 + 1e-6
    assert attacks.accuracy(net, (x + shared).clamp(0, 1), y) < attacks.accuracy(
        net, (x + signs).clamp(0, 1), y
    )


def test_eot_sees_through_noise():
    """Averaging the gradient of a noisy model comes nearer to the clean one's step."""
    w = normal(16)
    draw = generator(7)

    def noisy(at, _):
        return at @ (w + 4 * torch.randn(16, generator=draw))

    x = torch.full((50, 16), 0.5)
    reached = [
        float((attacks.pgd(None, x, loss=noisy, eps=0.1, n_iter=1, step=0.1, random_start=False, eot=eot, keep_best=False) @ w).mean())
        for eot in (1, 30)
    ]  # fmt: skip
    assert reached[0] < reached[1] <= float((x[0] + 0.1 * w.sign()) @ w) + 1e-5


def test_a_generator_is_drawn_from_and_a_seed_starts_anew(net, pictures):
    x, y = pictures
    draw = generator(0)
    first, second = (attacks.pgd(net, x, y, eps=0.1, seed=draw, n_iter=1) for _ in range(2))
    assert torch.equal(first, attacks.pgd(net, x, y, eps=0.1, seed=0, n_iter=1)) and not torch.equal(
        first, second
    )


# Bad input


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"eps": -0.1}, "eps must be a finite number, 0 or above"),
        ({"eps": math.nan}, "eps must be a finite number"),
        ({"norm": "l1"}, "norm must be one of linf, l2"),
        ({"loss": "cw"}, "loss must be one of ce, margin, dlr, kl"),
        ({"loss": F.cross_entropy}, "use reduction='none'"),
        ({"n_iter": 0}, "n_iter must be a whole number above 0"),
        ({"restarts": 2, "random_start": False}, "restarts need random_start"),
        ({"model": None}, "needs logits"),
        ({"model": lambda x: x}, "model must map"),
        ({"model": lambda x: x.flatten(1) * math.nan}, "NaN or infinite for 4 of 4"),
        ({"model": lambda x: x.detach().flatten(1)}, "does not depend on x"),
        ({"model": lambda x: x.flatten(1).sub(0.5).mul(0).sqrt().add(x.flatten(1))}, "NaN or infinite for 4 of 4"),
        ({"x": uniform(4, 1, 8, 8) * 2}, "put normalisation inside the model"),
        ({"x": uniform(4, 1, 8, 8) * math.nan}, "x holds NaN"),
        ({"y": None}, "y is None"),
        ({"y": torch.tensor([0, 1, 2])}, "one entry per row"),
        ({"y": torch.tensor([0, 1, 2, 10])}, "y holds class 10"),
        ({"y": torch.tensor([0, 1, 2, -1])}, "class indices from 0"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_words(net, changed, words):
    told = {"model": net, "x": uniform(4, 1, 8, 8), "y": torch.arange(4), "eps": 0.1} | changed
    with pytest.raises(ValueError, match=words):
        attacks.pgd(told.pop("model"), told.pop("x"), told.pop("y"), **told)


def test_other_types_and_too_few_classes(net):
    y = torch.zeros(2, dtype=torch.long)
    with pytest.raises(TypeError, match=r"use sslwork.data.to_float"):
        attacks.fgsm(net, torch.zeros(2, 1, 8, 8, dtype=torch.uint8), y, eps=0.1)
    with pytest.raises(TypeError, match="whole numbers"):
        attacks.fgsm(net, torch.zeros(2, 1, 8, 8), y.float(), eps=0.1)
    with pytest.raises(ValueError, match="dlr needs 3 classes"):
        attacks.pgd(nn.Flatten(), uniform(2, 2), y, eps=0.1, loss="dlr")
    with pytest.raises(ValueError, match="targets must lie in"):
        attacks.apgd_targeted(net, uniform(2, 1, 8, 8), y, eps=0.1, targets=10)
    with pytest.raises(ValueError, match="squares are drawn"):
        attacks.square(nn.Flatten(), uniform(2, 4), y, eps=0.1)
    with pytest.raises(ValueError, match=r"\(N, T, d\)"):
        attacks.pgd(None, uniform(2, 4), norm="l2 per token", eps=0.1, loss=lambda at, _: at.sum(1))
    with seeded(0), pytest.raises(ValueError, match="share must lie"):
        attacks.square(net, uniform(2, 1, 8, 8), y, eps=0.1, share=0)


def test_the_control_is_as_long_as_the_attack_although_the_box_cuts_it_off():
    x = uniform(6, 1, 8, 8)
    x[0], x[1] = 0, 1  # half of the signs have no room at all
    found = torch.stack([(x + eps * (2 * uniform(6, 1, 8, 8) - 1)).clamp(0, 1) for eps in (0, 0.1, 0.4)])
    for each in found:
        noise = attacks.equal_noise(x, each)
        assert noise.min() >= 0 and noise.max() <= 1
        lengths = [(at - x).flatten(1).norm(dim=1) for at in (noise, each)]
        torch.testing.assert_close(*lengths)
        inside = (noise > 0) & (noise < 1)
        for change, free in zip((noise - x).abs(), inside, strict=True):
            assert not free.any() or change[free].max() - change[free].min() < 1e-6, (
                "one amount, but at the rim"
            )
    assert torch.equal(attacks.equal_noise(x, x), x)
    assert torch.equal(attacks.equal_noise(x, each, seed=3), attacks.equal_noise(x, each, seed=3))
    far = attacks.equal_noise(
        x[:1], torch.ones_like(x[:1])
    )  # a black picture made white: too far for random signs
    assert set(far.unique().tolist()) == {0.0, 1.0}
    assert attacks.equal_noise(x[:0], x[:0]).shape == (0, 1, 8, 8)
    with pytest.raises(ValueError, match="of one shape"):
        attacks.equal_noise(x, x[:2])
    with pytest.raises(ValueError, match="infinity, first in sample 0"):
        attacks.equal_noise(x, x * math.nan)
