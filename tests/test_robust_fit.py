"""The loop of adversarial training, and its two losses."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sslwork import batches, losses, nets, robust
from sslwork.data import PictureSet
from sslwork.data.pictures import to_float
from sslwork.seeds import generator

DOUBLE = torch.double


def rows(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=DOUBLE)


@pytest.fixture(scope="module")
def bars():
    """Three classes of 8 x 8 pictures: a bright bar on the left, in the middle or on the right, with noise."""
    labels = torch.arange(96) % 3
    images = 0.3 * torch.rand(96, 1, 8, 8, generator=generator(1))
    for i, label in enumerate(labels):
        images[i, 0, :, 3 * label : 3 * label + 2] += 0.5
    return PictureSet(images, labels)


def net(**options):
    return nets.small_conv(4, 2, classes=3, hidden=16, **options)


SHORT = {"steps": 6, "batch_size": 32, "progress": False}


# TRADES


def test_trades_is_the_loop_of_its_formula():
    z, z_, y = rows(5, 4), rows(5, 4, seed=1), torch.tensor([0, 1, 2, 3, 3])
    wanted = []
    for clean, attacked, label in zip(z.tolist(), z_.tolist(), y.tolist(), strict=True):
        p, q = ([math.exp(v) / sum(map(math.exp, r)) for v in r] for r in (clean, attacked))
        wanted.append(-math.log(p[label]) + 6 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    each = losses.trades(z, z_, y, reduction="none")
    torch.testing.assert_close(each, torch.tensor(wanted, dtype=DOUBLE))
    torch.testing.assert_close(losses.trades(z, z_, y), each.mean())


def test_trades_has_gradients_through_both_answers():
    z, z_ = rows(4, 3).requires_grad_(), rows(4, 3, seed=1).requires_grad_()
    y = torch.tensor([0, 1, 2, 0])
    assert torch.autograd.gradcheck(lambda a, b: losses.trades(a, b, y, beta=2.0), (z, z_))
    losses.trades(z, z_, y).backward()
    assert z_.grad.abs().sum() > 0


def test_trades_without_beta_or_without_attack_is_cross_entropy():
    z, z_, y = rows(4, 3).requires_grad_(), rows(4, 3, seed=1), torch.tensor([0, 1, 2, 0])
    plain = F.cross_entropy(z, y)
    torch.testing.assert_close(losses.trades(z, z_, y, beta=0), plain)
    torch.testing.assert_close(losses.trades(z, z, y), plain)
    (same,) = torch.autograd.grad(losses.trades(z, z, y), z)
    torch.testing.assert_close(same, torch.autograd.grad(plain, z)[0])


def test_trades_refuses_labels_without_a_logit():
    with pytest.raises(ValueError, match="labels must be below 3"):
        losses.trades(rows(2, 3), rows(2, 3), torch.tensor([0, 3]))
    with pytest.raises(ValueError, match="beta must be a finite number"):
        losses.trades(rows(2, 3), rows(2, 3), torch.tensor([0, 1]), beta=-1)


# SupCon


def supcon_by_hand(z, y, t):
    u, values = F.normalize(z), []
    for i in range(len(u)):
        mates = [j for j in range(len(u)) if j != i and y[j] == y[i]]
        if mates:
            below = math.log(sum(math.exp(float(u[i] @ u[k]) / t) for k in range(len(u)) if k != i))
            values.append(-sum(float(u[i] @ u[p]) / t - below for p in mates) / len(mates))
    return sum(values) / len(values)


def test_supcon_is_the_loop_of_its_formula():
    z, y = rows(7, 3), torch.tensor([4, 4, 0, 0, 0, 9, 4])
    assert losses.supcon(z, y, temperature=0.3).item() == pytest.approx(supcon_by_hand(z, y, 0.3))
    alone = torch.tensor([4, 4, 0, 0, 0, 9, 4])  # row 5 is the only 9
    assert torch.autograd.gradcheck(lambda x: losses.supcon(x, alone), z.requires_grad_())


def test_supcon_does_not_see_the_order_nor_the_length_of_rows():
    z, y, order = rows(6, 4), torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([5, 0, 3, 1, 4, 2])
    torch.testing.assert_close(losses.supcon(z[order], y[order]), losses.supcon(z, y))
    torch.testing.assert_close(losses.supcon(z * torch.tensor([[3.0], [1], [7], [1], [0.1], [1]]), y), losses.supcon(z, y))  # fmt: skip


@pytest.mark.parametrize(("n", "t"), [(2, 0.5), (5, 0.1), (9, 1.0)])
def test_supcon_where_it_can_be_solved(n, t):
    one = torch.ones(n, 2, dtype=DOUBLE)
    assert losses.supcon(one, torch.zeros(n).long(), temperature=t).item() == pytest.approx(math.log(n - 1))
    poles, y = torch.cat([one, -one]), torch.arange(2).repeat_interleave(n)
    wanted = math.log(n - 1 + n * math.exp(-2 / t))
    assert losses.supcon(poles, y, temperature=t).item() == pytest.approx(wanted)


def test_rows_without_a_positive_are_dropped_or_refused():
    z = rows(4, 3).requires_grad_()
    nobody = losses.supcon(z, torch.arange(4))
    nobody.backward()
    assert nobody == 0 and not z.grad.any()
    with pytest.raises(ValueError, match="1 rows have no other row with their label, first row 2"):
        losses.supcon(z, torch.tensor([0, 0, 1, 0]), drop_without_positive=False)


# The loop


def test_a_robust_net_withstands_what_a_standard_one_does_not(bars):
    x, y = to_float(bars.images), bars.labels
    found = {}
    for name, inner in {"standard": None, "robust": robust.ascent(eps=0.15)}.items():
        model = net()
        curve = robust.fit(model, bars, inner=inner, steps=60, batch_size=32, lr=1e-2, progress=False)
        attacked = robust.ascent(eps=0.15, n_iter=10)(model, x, y, generator(5))
        found[name] = (model(attacked).argmax(1) == y).float().mean()
        assert len(curve) == 60 and curve[-1] < curve[0] and not model.training
    assert found["robust"] > found["standard"] + 0.1


def test_examples_are_made_in_evaluation_mode_and_the_step_is_taken_in_training_mode(bars):
    model, modes = net(batch_norm=True), []
    norm = next(layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d))

    def inner(model, x, y, draw):
        before = norm.running_mean.clone()
        out = robust.ascent(eps=0.1)(model, x, y, draw)
        modes.append((model.training, bool((norm.running_mean == before).all())))
        return out

    def extra(model, x, adversarial, y):
        modes.append((model.training, not torch.equal(x, adversarial)))
        return adversarial.sum() * 0

    robust.fit(model, bars, inner=inner, extra=extra, **SHORT | {"steps": 2})
    assert modes == [(False, True), (True, True)] * 2 and norm.num_batches_tracked == 2


def test_the_same_seed_gives_the_same_net(bars):
    def trained(seed):
        model = net()
        robust.fit(model, bars, inner=robust.ascent(eps=0.1), seed=seed, **SHORT)
        return torch.cat([p.flatten() for p in model.parameters()])

    assert torch.equal(trained(0), trained(0)) and not torch.equal(trained(0), trained(1))


def test_equal_weights_and_no_price_are_the_plain_run(bars):
    plain, other = net(), net()
    inner = robust.ascent(eps=0.1)
    curve = robust.fit(plain, bars, inner=inner, **SHORT)
    same = robust.fit(
        other, bars, inner=inner, **SHORT,
        weight=lambda losses, y: torch.ones_like(losses), extra=lambda model, x, x_, y: 0 * model(x_).sum(),
    )  # fmt: skip
    assert curve == same
    trades = robust.fit(net(), bars, loss=robust.trades(beta=3.0), **SHORT)
    assert trades == pytest.approx(robust.fit(net(), bars, **SHORT), rel=1e-5)  # x' = x: cross entropy


def test_examples_do_not_depend_on_weights(bars):
    seen = []

    def watched(model, x, y, draw):
        seen.append(robust.ascent(eps=0.1)(model, x, y, draw))
        return seen[-1]

    for scale in (1.0, 50.0):
        robust.fit(net(), bars, inner=watched, weight=lambda losses, y, s=scale: s + y.float(), **SHORT | {"steps": 1})  # fmt: skip
    assert torch.equal(*seen)


def test_no_gradient_goes_through_the_weights(bars):
    """Weights are made of bare losses, and what comes back counts as numbers even if it hangs on the model."""
    slopes = []
    for held in (True, False):
        model, seen = net(), []
        model.head.weight.register_hook(slopes.append)

        def weight(losses, y, model=model, held=held, seen=seen):
            seen.append(losses.requires_grad)
            size = model.head.weight.square().sum()
            return torch.ones_like(losses) * (size.detach() if held else size)

        robust.fit(model, bars, weight=weight, **SHORT | {"steps": 1})
        assert seen == [False]
    assert torch.equal(*slopes)


def test_eps_rises_over_the_ramp_and_stays(bars):
    shares = []

    def inner(model, x, y, draw, share):
        shares.append(share)
        return x

    robust.fit(net(), bars, inner=inner, eps_ramp=0.5, **SHORT | {"steps": 8})
    assert shares == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]


def test_a_sampler_chooses_the_rows(bars):
    counts = []

    def weight(losses, y):
        counts.append(y.bincount(minlength=3).tolist())
        return torch.ones_like(losses)

    few = bars[torch.cat([(bars.labels == 0).nonzero()[:2], (bars.labels > 0).nonzero()])[:, 0]]
    robust.fit(net(), few, weight=weight, sampler=batches.OnePerCluster(few.labels), **SHORT)
    assert all(sorted(each) == [10, 11, 11] for each in counts) and len(counts) == 6


def test_what_cannot_be_trained_is_refused(bars):
    with pytest.raises(ValueError, match="labels is None"):
        robust.fit(net(), PictureSet(bars.images), **SHORT)
    with pytest.raises(ValueError, match="steps must be a whole number"):
        robust.fit(net(), bars, steps=0)
    with pytest.raises(ValueError, match="eps_ramp is a share"):
        robust.fit(net(), bars, eps_ramp=2, **SHORT)
    with pytest.raises(ValueError, match="weight must give"):
        robust.fit(net(), bars, weight=lambda losses, y: losses * math.nan, **SHORT)
    with pytest.raises(FloatingPointError, match="the loss is inf at step 0"):
        robust.fit(net(), bars, extra=lambda *_: torch.tensor(math.inf), **SHORT)
