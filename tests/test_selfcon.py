"""SelfCon: by its formula, at its exact values, and with the pairs that must agree; ImagiNet's sum of two."""

import math

import pytest
import torch

from sslwork import forgery, losses
from sslwork.seeds import generator


def rows(b=6, e=2, d=5, seed=0):
    return torch.randn(b, e, d, generator=generator(seed), dtype=torch.double)


LABELS = torch.tensor([0, 1, 0, 2, 1, 0])


def by_hand(f, labels, t, t0=0.07):
    f = f / f.norm(dim=2, keepdim=True)
    flat = [(i, f[i, u]) for i in range(len(f)) for u in range(f.shape[1])]
    total = []
    for n, (i, a) in enumerate(flat):
        others = [(j, q) for m, (j, q) in enumerate(flat) if m != n]
        log = math.log(sum(math.exp(float(a @ q) / t) for _, q in others))
        positives = [float(a @ p) / t - log for j, p in others if labels[j] == labels[i]]
        if positives:
            total.append(-(t / t0) * sum(positives) / len(positives))
    return sum(total) / len(total)


@pytest.mark.parametrize("t", [0.07, 0.5])
@pytest.mark.parametrize("exits", [1, 2, 3])
def test_its_formula(t, exits):
    f = rows(e=exits)
    assert losses.selfcon(f, LABELS, temperature=t).item() == pytest.approx(by_hand(f, LABELS, t), rel=1e-12)


def test_one_picture_without_labels_has_no_loss():
    assert losses.selfcon(rows(b=1)).item() == pytest.approx(0, abs=1e-12)


def test_equal_rows():
    same = torch.ones(4, 2, 3, dtype=torch.double)
    for labels in (None, torch.tensor([0, 0, 1, 2])):
        assert losses.selfcon(same, labels).item() == pytest.approx(math.log(2 * 4 - 1))


def test_two_antipodal_classes():
    n, t = 3, 0.5
    v = torch.tensor([1.0, 0, 0], dtype=torch.double)
    f = torch.stack([v] * n + [-v] * n)[:, None].expand(-1, 2, -1)
    wanted = (t / 0.07) * math.log((2 * n - 1) + 2 * n * math.exp(-2 / t))
    assert losses.selfcon(f, torch.tensor([0] * n + [1] * n), temperature=t).item() == pytest.approx(wanted)


def test_pairs_that_must_agree():
    f, loss = rows(), losses.selfcon(rows(), LABELS)
    order = torch.randperm(6, generator=generator(1))
    for other, labels in (
        (f[order], LABELS[order]), (f.flip(1), LABELS), (f, torch.tensor([7, 3, 7, 5, 3, 7])), (2.5 * f, LABELS)
    ):  # fmt: skip
        torch.testing.assert_close(losses.selfcon(other, labels), loss)
    torch.testing.assert_close(losses.selfcon(f, torch.arange(6)), losses.selfcon(f))
    torch.testing.assert_close(losses.selfcon(f, LABELS, base_temperature=0.14), loss / 2)
    flat = losses.supcon(f.flatten(0, 1), LABELS.repeat_interleave(2), temperature=0.07)
    torch.testing.assert_close(loss, flat)
    torch.testing.assert_close(
        losses.selfcon(f[:, :1], LABELS, temperature=0.2, base_temperature=0.2),
        losses.supcon(f[:, 0], LABELS, temperature=0.2),
    )


def test_gradients():
    assert torch.autograd.gradcheck(
        lambda f: losses.selfcon(f, LABELS, temperature=0.5), rows().requires_grad_()
    )


def test_the_generator_term_does_not_see_real_pictures():
    f, made_by = rows().requires_grad_(), torch.tensor([-1, 0, 1, -1, 0, 1])  # -1: real
    whole = torch.autograd.grad(forgery.imaginet(f, made_by), f)[0]
    first = torch.autograd.grad(losses.selfcon(f, (made_by >= 0).long()), f)[0]
    real = made_by < 0
    torch.testing.assert_close(whole[real], first[real])
    assert not torch.allclose(whole[~real], first[~real])
    both = losses.selfcon(f, (made_by >= 0).long()) + losses.selfcon(f[~real], made_by[~real])
    torch.testing.assert_close(forgery.imaginet(f, made_by), both)
    cold = (
        losses.selfcon(*each, temperature=0.5)
        for each in ((f, (made_by >= 0).long()), (f[~real], made_by[~real]))
    )
    torch.testing.assert_close(forgery.imaginet(f, made_by, temperature=0.5), sum(cold))


def test_a_batch_with_one_synthetic_picture_has_the_first_term_only():
    f, made_by = rows(), torch.tensor([-1, -1, -1, 0, -1, -1])
    torch.testing.assert_close(forgery.imaginet(f, made_by), losses.selfcon(f, (made_by >= 0).long()))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="pictures, exits, D"):
        losses.selfcon(rows()[:, 0], LABELS)
    with pytest.raises(ValueError, match="temperature"):
        losses.selfcon(rows(), LABELS, temperature=0)
    with pytest.raises(ValueError, match="labels"):
        losses.selfcon(rows(), LABELS[:3])
    with pytest.raises(ValueError, match="NaN"):
        losses.selfcon(rows() * float("nan"))
