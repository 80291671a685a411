"""Style layers: statistics, the adversarial spreads and their reversed gradient, and who may change what in a step."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sslwork import advstyle, descent, nets
from sslwork.advstyle import DSU, AdvStyle, MixStyle, restyle, spread, statistics
from sslwork.data.pictures import PictureSet
from sslwork.seeds import generator

ALWAYS = (1.0, 0.0)


def maps(seed=0, b=5, c=3, h=4, w=6):
    return torch.randn(b, c, h, w, generator=generator(seed), dtype=torch.double) * 2 + 1


def drawn(layer, x, seed=0):
    """The noise of the layer's next call, from a copy of its generator."""
    rng = copy.deepcopy(layer._rng)
    rng.random()
    shape = (*x.shape[:2], 1, 1)
    return [torch.from_numpy(rng.standard_normal(shape)) for _ in range(2)]


def test_statistics_by_hand():
    x = maps()
    mu, sig = statistics(x)
    one = x[1, 2].flatten().tolist()
    mean = sum(one) / len(one)
    variance = sum((v - mean) ** 2 for v in one) / (len(one) - 1)
    assert mu[1, 2].item() == pytest.approx(mean) and sig[1, 2].item() == pytest.approx(
        (variance + 1e-6) ** 0.5
    )


@pytest.mark.parametrize("layer", [AdvStyle(3), DSU(p=1), MixStyle(p=1)])
def test_evaluation_is_the_identity(layer):
    x = maps()
    assert layer.eval()(x) is x


def test_without_noise_nothing_changes():
    x = maps()
    torch.testing.assert_close(restyle(x, *statistics(x)), x)


def test_zero_spreads_are_the_identity():
    layer, x = AdvStyle(3, p=ALWAYS).double(), maps()
    layer(x)
    with torch.no_grad():
        layer.a_mu.zero_(), layer.a_sig.zero_()
    torch.testing.assert_close(layer(x), x)


def test_the_output_has_the_statistics_that_were_drawn():
    layer, x = AdvStyle(3, p=ALWAYS).double(), maps()
    n1, n2 = drawn(layer, x)
    out = layer(x)
    mu, sig = statistics(x)
    torch.testing.assert_close(out.mean((2, 3), keepdim=True), mu + n1 * spread(mu))
    wanted = (sig + n2 * spread(sig)).abs() * ((x - mu) / sig).std((2, 3), keepdim=True)
    torch.testing.assert_close(out.std((2, 3), keepdim=True), wanted)


def test_the_first_call_takes_the_spread_of_its_batch_and_later_ones_do_not():
    layer = AdvStyle(3, p=ALWAYS).double()
    torch.testing.assert_close(layer.a_mu.detach(), torch.full((1, 3, 1, 1), 0.1).double())
    assert layer.first.isnan().all()
    layer(maps(0))
    first = layer.a_mu.clone()
    torch.testing.assert_close(first, (maps(0).mean((2, 3), keepdim=True).var(0, keepdim=True) + 1e-6).sqrt())
    layer(maps(1))
    assert torch.equal(layer.a_mu, first)
    assert torch.equal(layer.state_dict()["first"][0], first)  # and a checkpoint knows
    assert AdvStyle(3).a_mu is not AdvStyle(3).a_mu


@pytest.mark.parametrize("k", [10.0, 0.0, -1.0])
def test_the_reversed_gradient(k):
    """dL/da_mu = -k sum n1 dL/dout; dL/da_sig = -k sum n2 xn dL/dout."""
    layer, x, push = AdvStyle(3, k=k, p=ALWAYS).double(), maps(), maps(7)
    n1, n2 = drawn(layer, x)
    (layer(x) * push).sum().backward()
    mu, sig = statistics(x)
    torch.testing.assert_close(
        layer.a_mu.grad, -k * (n1 * push.sum((2, 3), keepdim=True)).sum(0, keepdim=True)
    )
    by_place = (n2 * (x - mu) / sig * push).sum((2, 3), keepdim=True)
    torch.testing.assert_close(layer.a_sig.grad, -k * by_place.sum(0, keepdim=True))


def test_gradients_reach_the_maps():
    x = maps(b=2, c=2, h=2, w=3).requires_grad_()
    mean, deviation = torch.randn(2, 2, 2, 1, 1, dtype=torch.double, generator=generator(3))
    assert torch.autograd.gradcheck(lambda x: restyle(x, mean, deviation), x)

    def dsu(x):
        layer = DSU(p=1)
        return restyle(x, *layer.sampled(x))

    assert torch.autograd.gradcheck(dsu, x)


def test_the_adversarial_branch_hands_gradients_on_through_both_statistics():
    layer, x = AdvStyle(2, p=ALWAYS).double(), maps(b=2, c=2, h=2, w=3).requires_grad_()
    layer(x)
    start = copy.deepcopy(layer._rng)

    def again(x):
        layer._rng = copy.deepcopy(start)
        return layer(x)

    assert torch.autograd.gradcheck(again, x)


def test_a_restored_layer_keeps_its_spreads():
    layer, other = AdvStyle(3, p=ALWAYS).double(), AdvStyle(3, p=ALWAYS).double()
    layer(maps(0))
    other.load_state_dict(layer.state_dict())
    other(maps(1))
    assert torch.equal(other.a_mu, layer.a_mu) and torch.equal(other.a_sig, layer.a_sig)


def test_a_constant_channel_gives_its_new_mean_and_no_nan():
    layer, x = AdvStyle(3, p=ALWAYS).double(), maps()
    x[:, 1] = 4.0
    n1, _ = drawn(layer, x)
    out = layer(x)
    wanted = (4.0 + n1[:, 1] * spread(statistics(x)[0])[:, 1])[..., None].expand(-1, 1, 4, 6)[:, 0]
    torch.testing.assert_close(out[:, 1], wanted.reshape_as(out[:, 1]))


def test_a_spatial_permutation_passes_through():
    order = torch.randperm(24, generator=generator(5))
    x = maps()
    turned = x.flatten(2)[:, :, order].view_as(x)
    one, two = AdvStyle(3, p=ALWAYS).double()(x), AdvStyle(3, p=ALWAYS).double()(turned)
    torch.testing.assert_close(one.flatten(2)[:, :, order].view_as(x), two)


def test_without_the_adversary_it_is_dsu():
    layer, other, x = AdvStyle(3, p=(0.0, 1.0), seed=4).double(), DSU(p=1, seed=4), maps()
    assert torch.equal(layer(x), other(x))
    assert torch.equal(AdvStyle(3, p=(0.0, 0.0))(x), x)


def test_a_branch_is_picked_for_the_whole_batch_a_third_of_the_time_each():
    layer, x = AdvStyle(3).double(), maps()
    same = [torch.equal(layer(x), x) for _ in range(300)]
    assert 70 < sum(same) < 130


def test_mixstyle_stays_between_two_pictures():
    x = maps()
    means, new = statistics(x)[0], MixStyle(p=1, seed=1)(x).mean((2, 3), keepdim=True)
    assert (new >= means.amin(0) - 1e-9).all() and (new <= means.amax(0) + 1e-9).all()
    assert torch.equal(MixStyle(p=0)(x), x)


def test_mixstyle_takes_every_statistic_as_a_constant():
    """d out / d x = mixed sig / sig at each place, and nothing through mu and sig (Zhou et al. detach both)."""
    x, push = maps().requires_grad_(), maps(7)
    out = MixStyle(p=1, seed=1)(x)
    sig, mixed = statistics(x.detach())[1], statistics(out.detach())[1]
    scale = torch.autograd.grad((out * push).sum(), x)[0] / push
    torch.testing.assert_close(scale, (mixed / sig).expand_as(x), rtol=1e-4, atol=0)
    torch.testing.assert_close(scale, scale[..., :1, :1].expand_as(x))


def picture_set():
    labels = torch.arange(40) % 2
    images = torch.rand(40, 1, 8, 8, generator=generator(0)) * 0.3 + labels[:, None, None, None] * 0.6
    return PictureSet(images.clamp(0, 1), labels)


def net(layer=None):
    return nets.small_conv(
        width=4, blocks=2, classes=2, hidden=8, batch_norm=True, after={0: layer} if layer else None
    )


def state(module, skip=("a_mu", "a_sig", "first")):
    return {k: v.clone() for k, v in module.state_dict().items() if not k.endswith(skip)}


def same(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


def test_the_adversarial_passes_move_the_spreads_alone(monkeypatch):
    model = net(AdvStyle(4, p=ALWAYS))
    seen = []
    descend = descent.descend

    def watched(optimiser, loss, step):
        before = state(model), [each.detach().clone() for each in model.blocks[0][1].spreads]
        value = descend(optimiser, loss, step)
        spreads = model.blocks[0][1].spreads
        seen.append((same(before[0], state(model)), all(map(torch.equal, before[1], spreads))))
        return value

    monkeypatch.setattr(descent, "descend", watched)
    # running means move in the forward pass of the network's step, before its descent
    advstyle.fit(model, picture_set(), steps=2, batch_size=16, progress=False)
    network_still, spreads_still = zip(*seen, strict=True)
    assert network_still == (True, True, True, False) * 2
    assert spreads_still == (False, False, False, True) * 2


def test_running_means_learn_from_the_last_pass_only():
    """Four passes give each batch norm one update, not four."""
    model = net(AdvStyle(4, p=(0.0, 0.0)))
    plain = net()
    for each in (model, plain):
        advstyle.fit(each, picture_set(), steps=3, batch_size=16, progress=False)
    norm, other = model.blocks[1][1], plain.blocks[1][1]
    assert torch.equal(norm.running_mean, other.running_mean)
    assert norm.momentum == other.momentum == 0.1


def test_the_spreads_climb_the_loss():
    model = net(AdvStyle(4, p=ALWAYS))
    data = picture_set()
    advstyle.fit(model, data, steps=30, batch_size=40, lr=1e-9, lr_spread=0.05, progress=False)
    layer = model.blocks[0][1]
    grown = [each.abs().mean().item() for each in layer.spreads]
    assert sum(grown) > 0 and np.isfinite(grown).all()
    hard = F.cross_entropy(_styled(model, layer, 20.0, data), data.labels)
    soft = F.cross_entropy(_styled(model, layer, 0.0, data), data.labels)
    assert hard > soft


def _styled(model, layer, k, data):
    """The logits with the spreads multiplied by k."""
    with torch.no_grad():
        for each in layer.spreads:
            each.mul_(k)
        model.train()
        out = model(data.images.float() / 255)
        for each in layer.spreads:
            each.div_(k or 1)
    return out


def test_training_is_reproducible_and_learns():
    curves = [
        advstyle.fit(net(AdvStyle(4)), picture_set(), steps=40, batch_size=16, progress=False)
        for _ in range(2)
    ]
    assert curves[0] == curves[1] and np.mean(curves[0][-5:]) < np.mean(curves[0][:5])


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="batch of one"):
        AdvStyle(3, p=ALWAYS)(maps(b=1).float())
    with pytest.raises(ValueError, match="at least 2 places"):
        AdvStyle(3, p=ALWAYS)(torch.ones(2, 3, 1, 1))
    for layer in (DSU, MixStyle):
        with pytest.raises(ValueError, match=r"p must lie in 0\.\.1"):
            layer(p=1.5)
    with pytest.raises(ValueError, match="two shares"):
        AdvStyle(3, p=(0.8, 0.4))
    with pytest.raises(ValueError, match="labels is None"):
        advstyle.fit(net(), PictureSet(picture_set().images), progress=False)
    broken = net()
    with torch.no_grad():
        broken.head.weight.fill_(float("inf"))
    with pytest.raises(FloatingPointError, match="step 0"):
        advstyle.fit(broken, picture_set(), steps=1, progress=False)
