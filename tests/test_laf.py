"""Forgetting without labels: the two losses by their formulas, and what a step may and may not touch."""

import copy
import math

import pytest
import torch

from sslwork import laf, nets
from sslwork.seeds import generator

E = math.e


def rows(n, seed, d=6):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.double)


def test_the_bounded_error_starts_at_one_grows_and_saturates():
    m = torch.tensor([0.0, 0.5, 3.0, 1e9], dtype=torch.double, requires_grad=True)
    s = laf.bounded(m)
    assert s[0] == 1 and (s.diff() > 0).all() and (s < E).all()
    slope = torch.autograd.grad(s.sum(), m)[0]
    torch.testing.assert_close(slope, s.detach() / (m.detach() + 1) ** 2)
    assert slope[-1] < 1e-15  # a row far away is left alone


def test_unlearning_loss_is_its_formula():
    r, f = rows(5, 0)[:, 0].square(), rows(3, 1)[:, 0].square()
    by_hand = sum(math.exp(m / (m + 1)) for m in r.tolist()) - sum(math.exp(m / (m + 1)) for m in f.tolist())
    assert laf.unlearning_loss(r, f).item() == pytest.approx(by_hand, abs=1e-12)
    assert laf.unlearning_loss(torch.zeros(7), torch.zeros(0)) == 7  # perfect reconstruction of N pictures
    # Remaining rows stay likely, forgetting rows become unlikely.
    f.requires_grad_(), r.requires_grad_()
    by_r, by_f = torch.autograd.grad(laf.unlearning_loss(r, f), (r, f))
    assert (by_r > 0).all() and (by_f < 0).all()


def test_alignment_loss_is_its_formula():
    r, r0, f, f0 = rows(5, 0), rows(5, 1), rows(3, 2), rows(3, 3)
    c = [1 - float(a @ b / a.norm() / b.norm()) for a, b in zip(r, r0, strict=True)]
    d = [1 - float(a @ b / a.norm() / b.norm()) for a, b in zip(f, f0, strict=True)]
    by_hand = sum(ci - math.log(sum(math.exp(dj / 5) for dj in d)) for ci in c)
    assert laf.alignment_loss(r, r0, f, f0, temperature=5).item() == pytest.approx(by_hand, abs=1e-12)


def test_alignment_of_an_unchanged_network():
    r, f = rows(5, 0), rows(3, 1)
    loss = laf.alignment_loss(r, r, f, f, temperature=20)
    assert loss.item() == pytest.approx(-5 * math.log(3), abs=1e-12)


def test_alignment_looks_at_directions_only():
    r, r0, f, f0 = rows(5, 0), rows(5, 1), rows(3, 2), rows(3, 3)
    loss = laf.alignment_loss(r, r0, f, f0, temperature=2)
    torch.testing.assert_close(laf.alignment_loss(9 * r, r0, 0.1 * f, f0, temperature=2), loss)


def test_alignment_falls_with_every_row_that_moves_away():
    """dA / dd_j = -N_r softmax_j(d / T) / T."""
    r, f0 = rows(5, 0), rows(3, 3)
    f = rows(3, 2).requires_grad_()
    d = 1 - torch.cosine_similarity(f, f0)
    by_row = torch.autograd.grad(laf.alignment_loss(r, r, f, f0, temperature=2), f, retain_graph=True)[0]
    weights = -5 * (d / 2).softmax(0).detach() / 2
    torch.testing.assert_close(by_row, torch.autograd.grad((weights * d).sum(), f)[0])
    assert (weights < 0).all()


def test_gradients():
    r, r0, f, f0 = rows(4, 0), rows(4, 1), rows(3, 2), rows(3, 3)
    assert torch.autograd.gradcheck(
        lambda a, b: laf.alignment_loss(a, r0, b, f0, temperature=5), (r.requires_grad_(), f.requires_grad_())
    )
    assert torch.autograd.gradcheck(
        lambda a, b: laf.unlearning_loss(a.square().sum(1), b.square().sum(1)), (r, f)
    )


PICTURES = torch.rand(60, 1, 8, 8, generator=generator(0))
QUICK = {"passes": 2, "batch_size": 16, "vae_epochs": 1}


@pytest.fixture(scope="module")
def net():
    return nets.small_conv(width=4, blocks=2, hidden=16, classes=3)


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.state_dict().values()])


def test_the_original_stays_and_the_copy_has_moved(net):
    before = copy.deepcopy(net)
    after = laf.forget(net, PICTURES[:20], PICTURES[20:], **QUICK)
    assert torch.equal(weights(net), weights(before)) and all(p.grad is None for p in net.parameters())
    assert all(
        not torch.equal(a, b) for a, b in zip(after.body.parameters(), net.body.parameters(), strict=True)
    )


def test_two_pairs_of_steps_by_hand(net):
    """V_all and V_f of the original rows, two states of Adam in turn, fresh rows for the second, sums everywhere."""
    f, r, rates = PICTURES[:20], PICTURES[20:40], (2e-3, 5e-3)
    found = laf.forget(
        net,
        f,
        r,
        passes=2,
        batch_size=20,
        vae_epochs=2,
        lr_unlearn=rates[0],
        lr_align=rates[1],
        temperature=3.0,
    )
    with torch.no_grad():
        rows_f, rows_r = net.eval().features(f), net.features(r)
    v_all, v_f = (laf._likely(rows, 2, 20, 0) for rows in (torch.cat([rows_r, rows_f]), rows_f))
    before = weights(v_all), weights(v_f)
    model = copy.deepcopy(net)
    first, second = (torch.optim.Adam(model.parameters(), lr) for lr in rates)
    for i, j in laf._batches(20, 20, 2, 20, 0):
        error = lambda v, rows: (v(rows) - rows).square().sum(1)  # noqa: E731
        s = [
            (m / (m + 1)).exp().sum()
            for m in (error(v_all, model.features(r[j])), error(v_f, model.features(f[i])))
        ]
        first.zero_grad(), (s[0] - s[1]).backward(), first.step()
        c = 1 - torch.cosine_similarity(model.features(r[j]), rows_r[j])
        d = 1 - torch.cosine_similarity(model.features(f[i]), rows_f[i])
        second.zero_grad(), (c - (d / 3.0).exp().sum().log()).sum().backward(), second.step()
    torch.testing.assert_close(weights(found), weights(model), rtol=0, atol=2e-5)
    assert torch.equal(before[0], weights(v_all)) and torch.equal(before[1], weights(v_f))


def test_batch_norms_learn_nothing_from_what_is_forgotten():
    normed = nets.small_conv(width=4, blocks=2, hidden=16, classes=3, batch_norm=True)
    after = laf.forget(normed, PICTURES[:20], PICTURES[20:], **QUICK)
    assert all(torch.equal(a, b) for a, b in zip(normed.buffers(), after.buffers(), strict=True))


def test_it_is_reproducible_and_bytes_are_as_good_as_numbers(net):
    whole = (PICTURES * 255).round().to(torch.uint8)
    one, two = (
        laf.forget(net, pictures[:20], pictures[20:], **QUICK) for pictures in (whole, whole.float() / 255)
    )
    assert torch.equal(weights(one), weights(two))
    assert not torch.equal(weights(one), weights(laf.forget(net, whole[:20], whole[20:], seed=1, **QUICK)))


def test_the_two_steps_can_be_taken_alone(net):
    def moved(**options):
        return weights(laf.forget(net, PICTURES[:20], PICTURES[20:], **QUICK, **options)) - weights(net)

    assert moved(unlearn=False, align=False).abs().max() == 0
    both, one, other = moved(), moved(unlearn=False), moved(align=False)
    assert one.abs().max() > 0 and other.abs().max() > 0
    assert not torch.allclose(both, one + other)


def test_a_pass_ends_with_the_shorter_set():
    pairs = list(laf._batches(20, 100, 2, 16, 0))
    assert [(len(f), len(r)) for f, r in pairs] == [(16, 16), (4, 16)] * 2
    assert not torch.equal(pairs[0][1], pairs[2][1])  # other remaining pictures in the next pass


def test_bad_input_is_refused(net):
    with pytest.raises(ValueError, match="0 pictures to forget"):
        laf.forget(net, PICTURES[:0], PICTURES)
    with pytest.raises(ValueError, match="forgetting_error"):
        laf.unlearning_loss(torch.ones(2), torch.tensor([1.0, float("nan")]))
    with pytest.raises(ValueError, match="temperature"):
        laf.alignment_loss(rows(2, 0), rows(2, 1), rows(2, 2), rows(2, 3), temperature=0)
    with pytest.raises(ValueError, match=r"forgetting"):
        laf.alignment_loss(rows(2, 0), rows(2, 1), rows(2, 2), rows(3, 3), temperature=1)
