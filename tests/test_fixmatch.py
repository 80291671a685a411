"""FixMatch: its loss against the formula, the threshold that lets nothing pass, and training that leaves no trace."""

import math

import pytest
import torch
from torch import nn

from sslwork import backdoor, encoders, fixmatch
from sslwork.data import PictureSet
from sslwork.seeds import generator, seeded

WEAK, STRONG = (2 * torch.randn(12, 5, generator=generator(0), dtype=torch.double)).split(6)
SET = PictureSet(torch.rand(40, 3, 8, 8, generator=generator(1)), torch.arange(40) % 4)


def net(norm=True):
    with seeded(0):
        body = encoders.conv(4, 2) if norm else nn.Flatten()
        return nn.Sequential(body, nn.Linear(8 if norm else 192, 4))


def trained(model, pool=SET, **options):
    options = {
        "steps": 4,
        "batch_size": 8,
        "ratio": 2,
        "threshold": 0.0,
        "lr": 1e-2,
        "seed": 3,
        "progress": False,
    } | options
    return fixmatch.fit(model, SET[:16], pool, weak=fixmatch.shift, strong=lambda x, g: fixmatch.shift(x, g, pixels=2), **options)  # fmt: skip


def test_consistency_is_its_formula():
    total, passed = 0.0, 0
    for w, s in zip(WEAK.tolist(), STRONG.tolist(), strict=True):
        p = [math.exp(x) / sum(map(math.exp, w)) for x in w]
        if max(p) >= 0.6:
            passed += 1
            total -= math.log(math.exp(s[p.index(max(p))]) / sum(map(math.exp, s)))
    assert 0 < passed < 6
    assert float(fixmatch.consistency(WEAK, STRONG, threshold=0.6)) == pytest.approx(
        total / 6
    )  # of all, not of passed


def test_what_is_just_at_the_threshold_passes():
    even = torch.zeros(3, 2, dtype=torch.double)
    assert float(fixmatch.consistency(even, even, threshold=0.5)) == pytest.approx(math.log(2))


def test_gradients_flow_to_the_strong_view_alone():
    strong, weak = STRONG.clone().requires_grad_(), WEAK.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: fixmatch.consistency(WEAK, s, threshold=0.6), strong)
    assert torch.autograd.grad(
        fixmatch.consistency(weak, strong, threshold=0.6), weak, allow_unused=True
    ) == (None,)


def test_where_nothing_passes_poison_cannot_act():
    strong = STRONG.clone().requires_grad_()
    loss = fixmatch.consistency(WEAK, strong, threshold=1.0)
    assert loss == 0 and torch.autograd.grad(loss, strong)[0].eq(0).all()
    poisoned = backdoor.Poison(backdoor.lattice_trigger, 1, 0.25)(SET).pictures
    ends = [trained(net(norm=False), pool, threshold=1.0).state_dict() for pool in (SET, poisoned)]
    assert all(torch.equal(a, b) for a, b in zip(*(end.values() for end in ends), strict=True))


def test_a_shift_moves_whole_pixels():
    one = torch.zeros(60, 1, 5, 7)
    one[..., 2, 3] = 1
    found = fixmatch.shift(one, generator(2))
    torch.testing.assert_close(found, found.round(), atol=1e-5, rtol=0)
    places = {tuple(p) for p in found.round().nonzero()[:, 2:].tolist()}
    assert places == {(i, j) for i in (1, 2, 3) for j in (2, 3, 4)}


def test_the_twin_follows_with_the_statistics_of_the_batch_norms():
    model = net()
    twin = trained(model)
    assert not twin.training and not torch.equal(twin[1].weight, model[1].weight)
    assert all(torch.equal(a, b) for a, b in zip(twin.buffers(), model.buffers(), strict=True))
    still = trained(model, momentum=0.0)
    assert torch.equal(still[1].weight, model[1].weight)


def test_the_same_seed_is_the_same_run_and_no_poison_is_the_clean_run():
    clean = backdoor.Poison(backdoor.lattice_trigger, 1, 0.0)(SET).pictures
    ends = [trained(net(), pool).state_dict() for pool in (SET, clean)]
    assert all(torch.equal(a, b) for a, b in zip(*(end.values() for end in ends), strict=True))
    assert not torch.equal(trained(net(), seed=4)[1].weight, ends[0]["1.weight"])


def test_labels_of_the_pool_are_never_read_and_each_view_is_its_own():
    calls = []

    def told(name):
        return lambda images, draw: calls.append((name, len(images))) or fixmatch.shift(images, draw)

    options = {
        "steps": 1,
        "batch_size": 8,
        "ratio": 2,
        "weak": told("weak"),
        "strong": told("strong"),
        "progress": False,
    }
    ends = [
        fixmatch.fit(net(), SET[:16], pool, **options).state_dict() for pool in (SET, PictureSet(SET.images))
    ]
    assert all(torch.equal(a, b) for a, b in zip(*(end.values() for end in ends), strict=True))
    assert calls == [("weak", 8), ("weak", 16), ("strong", 16)] * 2


def test_it_learns_from_pictures_without_labels():
    """Bright or dark: the labelled pictures are few, the others say how far apart the two are."""
    bright = torch.cat([torch.rand(60, 3, 8, 8, generator=generator(5)) * 0.4, 1 - torch.rand(60, 3, 8, 8, generator=generator(6)) * 0.4])  # fmt: skip
    pictures = PictureSet(bright, torch.arange(120) // 60)
    model, steps = net(), []
    twin = fixmatch.fit(
        model, pictures[[0, 1, 60, 61]], pictures, weak=fixmatch.shift, strong=fixmatch.shift, steps=40, batch_size=4,
        lr=1e-2, progress=False, show=lambda step, *_: steps.append(step),
    )  # fmt: skip
    found = twin(pictures.images.float() / 255).argmax(1)
    assert steps == list(range(1, 41)) and (found == pictures.labels).double().mean() > 0.9


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fixmatch.consistency(WEAK, STRONG[:3]), "one shape"),
        (lambda: fixmatch.consistency(WEAK, STRONG, threshold=1.5), "threshold"),
        (lambda: fixmatch.consistency(WEAK, STRONG * torch.nan), "NaN"),
        (lambda: trained(net(), weight=-1.0), "weight"),
        (lambda: trained(net(), momentum=2.0), "momentum"),
        (lambda: fixmatch.fit(net(), PictureSet(SET.images), SET, weak=fixmatch.shift, strong=fixmatch.shift), "no labels"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_run_that_breaks_down_says_so():
    with pytest.raises(FloatingPointError, match="learning rate"):
        trained(net(norm=False), weight=3.3e38)
