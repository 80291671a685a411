"""MoCHi: what is mixed from what, how hard it is, its loss as a loop and against that of MoCo, and bad input."""

import math

import pytest
import torch
from torch.nn import functional as F

from sslwork.losses import info_nce, mochi, mochi_negatives
from sslwork.seeds import generator


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.double)


def mixed(query, queue, n_hard, n_mixed, n_query_mixed, seed=0):
    return mochi_negatives(
        query, queue, n_hard=n_hard, n_mixed=n_mixed, n_query_mixed=n_query_mixed, generator=generator(seed)
    )


def at(*degrees):
    """Points of the circle, (n, 2)."""
    angle = torch.tensor(degrees, dtype=torch.double).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], -1)


def test_shape_length_and_order():
    """The queue lies in a plane and the query does not: only what is mixed with the query leaves the plane."""
    queue, query = draw(20, 3), draw(4, 3)
    queue[:, 2], query[:, 2] = 0, 1
    out = mixed(query, queue, 8, 5, 3)
    assert out.shape == (4, 8, 3) and out.dtype == torch.double and not out.requires_grad
    assert torch.allclose(out.norm(dim=-1), torch.ones(4, 8).double())
    assert (out[:, :5, 2] == 0).all() and (out[:, 5:, 2] > 0).all()
    assert mixed(query, queue, 8, 0, 0).shape == (4, 0, 3)


def test_two_rows_mixed_may_be_harder_than_both():
    q, queue = at(0), at(60, -60, 180)
    similarity = mixed(q, queue, 2, 2000, 0)[0] @ q[0]
    assert (similarity > 0.5).all() and similarity.max() == pytest.approx(1, abs=1e-5)


def test_a_row_mixed_with_the_query_is_never_easier():
    q, queue = at(0), at(90)
    out = mixed(q, queue, 1, 0, 5000)[0]
    similarity = out @ q[0]
    assert similarity.min() >= 0 and similarity.max() < math.sqrt(0.5)
    share = out[:, 0] / out.sum(1)  # of the query: uniform in [0, 1/2)
    assert share.max() == pytest.approx(0.5, abs=1e-2) and share.min() == pytest.approx(0, abs=1e-2)
    assert share.mean() == pytest.approx(0.25, abs=0.01) and share.var() == pytest.approx(1 / 48, rel=0.05)
    queue = draw(30, 6)
    parent = F.normalize(queue, dim=1) @ F.normalize(draw(2, 6, seed=1), dim=1).T
    hardest = mixed(draw(2, 6, seed=1), queue, 1, 0, 50)
    similarity = torch.einsum("nsd,nd->ns", hardest, F.normalize(draw(2, 6, seed=1), dim=1))
    assert (similarity >= parent.amax(0)[:, None] - 1e-12).all()


def test_two_different_rows_are_mixed_evenly():
    out = mixed(at(45), at(0, 90, 225), 2, 5000, 0)[0]
    assert (out > 0).all()  # a row mixed with itself would lie on an axis
    share = out[:, 0] / out.sum(1)  # uniform in [0, 1)
    assert share.mean() == pytest.approx(0.5, abs=0.02) and share.var() == pytest.approx(1 / 12, rel=0.05)
    axes = torch.eye(4, dtype=torch.double)
    pairs = (mixed(torch.ones(1, 4).double(), axes, 4, 6000, 0)[0] > 0).long()
    assert (pairs.sum(1) == 2).all()
    counts = (pairs @ torch.tensor([1, 2, 4, 8])).bincount()
    assert counts[counts > 0].tolist() == pytest.approx([1000] * 6, rel=0.1)  # every pair as often


def test_each_query_mixes_its_own_hardest():
    query = torch.eye(3, dtype=torch.double)[:2]
    near = [F.normalize(3 * q + 0.3 * draw(5, 3, seed=i), dim=1) for i, q in enumerate(query)]
    queue = torch.cat([near[1], -query, near[0]])
    out = mixed(query, queue, 5, 40, 40)
    own = torch.einsum("nsd,nd->ns", out, query)
    other = torch.einsum("nsd,nd->ns", out, query.flip(0))
    assert (own > 0.8).all() and (other < 0.6).all()


def test_only_the_hardest_are_mixed():
    query, queue = draw(1, 4), draw(50, 4, seed=1)
    order = F.cosine_similarity(query, queue).argsort(descending=True)
    for n_hard in (2, 10):
        kept = queue[order[:n_hard]]
        # The same queue without its easier rows gives the same mixtures, in the order of similarity.
        assert torch.equal(mixed(query, queue, n_hard, 6, 6), mixed(query, kept, n_hard, 6, 6))


def test_draws_follow_the_generator_and_differ_between_queries():
    query, queue = draw(1, 4).expand(2, 4), draw(50, 4, seed=1)
    out = mixed(query, queue, 10, 5, 5)
    assert torch.equal(out, mixed(query, queue, 10, 5, 5))
    assert not torch.isclose(out, mixed(query, queue, 10, 5, 5, seed=1)).all(-1).any()
    assert not torch.isclose(out[0], out[1]).all(-1).any()


def test_lengths_do_not_matter():
    query, queue = draw(3, 4), draw(50, 4, seed=1)
    assert torch.allclose(mixed(5 * query, 0.1 * queue, 10, 5, 5), mixed(query, queue, 10, 5, 5))


def by_loop(query, key, queue, synthetic, temperature):
    q, k, queue = (F.normalize(z, dim=1) for z in (query, key, queue))
    losses = []
    for i, anchor in enumerate(q):
        negatives = [float(anchor @ n) for n in [*queue, *synthetic[i]]]
        total = sum(math.exp(s / temperature) for s in [float(anchor @ k[i]), *negatives])
        losses.append(math.log(total) - float(anchor @ k[i]) / temperature)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_loss_is_the_formula_and_never_below_that_of_moco(temperature):
    query, key, queue = draw(4, 5), draw(4, 5, seed=1), draw(9, 5, seed=2)
    former = mochi(query, key, queue, mixed(query, queue, 4, 0, 0), temperature=temperature)
    assert torch.allclose(former, info_nce(query, key, queue, temperature=temperature))
    for n_mixed, n_query_mixed in ((3, 0), (0, 2), (6, 6)):
        synthetic = mixed(query, queue, 4, n_mixed, n_query_mixed)
        value = mochi(query, key, queue, synthetic, temperature=temperature)
        assert value.item() == pytest.approx(by_loop(query, key, queue, synthetic, temperature), rel=1e-12)
        assert value > former


def test_without_synthetic_rows_the_gradient_is_that_of_moco():
    query, key, queue = draw(4, 5).requires_grad_(), draw(4, 5, seed=1), draw(9, 5, seed=2)
    none = mixed(query, queue, 1, 0, 0)
    mine, theirs = (
        torch.autograd.grad(loss, query)
        for loss in (
            mochi(query, key, queue, none, temperature=0.2),
            info_nce(query, key, queue, temperature=0.2),
        )
    )
    assert torch.allclose(*mine, *theirs)


def test_a_copy_of_every_negative_adds_log_2():
    query, key, queue = draw(4, 5), draw(4, 5, seed=1), draw(9, 5, seed=2)
    none = F.normalize(queue, dim=1)[None].expand(4, -1, -1)
    for i in range(4):  # log of the negatives' sum, less the positive
        one = [z[i : i + 1] for z in (query, key)]
        single, double = (mochi(*one, queue, none[:1, :s], temperature=0.2).expm1().log() for s in (0, 9))
        assert (double - single).item() == pytest.approx(math.log(2))


def test_the_gradient_reaches_queries_only_and_not_through_the_mixtures():
    query, key, queue = (draw(n, 5, seed=n).requires_grad_() for n in (4, 4, 9))
    key = draw(4, 5, seed=7).requires_grad_()
    synthetic = mixed(query, queue, 4, 3, 3)
    mochi(query, key, queue, synthetic, temperature=0.2).backward()
    assert key.grad is None and queue.grad is None
    q, k, n = (F.normalize(z.detach(), dim=1) for z in (query, key, queue))
    for i in range(4):
        others = torch.cat([k[i : i + 1], n, synthetic[i]])
        p = (others @ q[i] / 0.2).softmax(0)
        by_unit = (p @ others - others[0]) / 0.2 / 4  # d logits / d q is the row itself
        across = (by_unit - (by_unit @ q[i]) * q[i]) / query[i].detach().norm()
        assert torch.allclose(query.grad[i], across)


def test_gradient():
    query, key, queue = draw(3, 4).requires_grad_(), draw(3, 4, seed=1), draw(6, 4, seed=2)
    synthetic = mixed(query, queue, 3, 2, 2)
    assert torch.autograd.gradcheck(lambda q: mochi(q, key, queue, synthetic, temperature=0.3), query)


def test_half_precision_is_compared_in_single():
    query, key, queue = (z.bfloat16() for z in (draw(4, 5), draw(4, 5, seed=1), draw(9, 5, seed=2)))
    with torch.autocast("cpu"):
        synthetic = mixed(query, queue, 4, 3, 3)
        value = mochi(query, key, queue, synthetic, temperature=0.1)
    assert torch.equal(synthetic, mixed(query.float(), queue.float(), 4, 3, 3))
    assert torch.equal(value, mochi(query.float(), key.float(), queue.float(), synthetic, temperature=0.1))


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda z: mixed(z, z, 4, 1, 1), ValueError, "n_hard must be 2 to 3, the rows of the queue; got 4"),
        (lambda z: mixed(z, z, 1, 1, 0), ValueError, "n_hard must be 2 to 3"),
        (lambda z: mixed(z, z, 0, 0, 1), ValueError, "n_hard must be 1 to 3"),
        (lambda z: mixed(z, z, 2, -1, 1), ValueError, "n_mixed and n_query_mixed must be 0 or more, got -1 and 1"),
        (lambda z: mixed(z, z[:, :1], 2, 1, 1), ValueError, r"one width, got \(3, 2\) and \(3, 1\)"),
        (lambda z: mixed(z, torch.nan * z, 2, 1, 1), ValueError, "queue holds NaN"),
        (lambda z: mixed(z.long(), z, 2, 1, 1), TypeError, "query must hold floating-point"),
        (lambda z: mochi(z, z[:2], z, z[:, None], temperature=1.0), ValueError, "query and key must be two views"),
        (lambda z: mochi(z, z, z[:, :1], z[:, None], temperature=1.0), ValueError, "one width"),
        (lambda z: mochi(z, z, z, z, temperature=1.0), ValueError, r"synthetic must have shape \(3, S, 2\), got \(3, 2\)"),
        (lambda z: mochi(z, z, z, torch.nan * z[:, None], temperature=1.0), ValueError, "synthetic holds NaN"),
        (lambda z: mochi(z, z, z, z[:, None], temperature=0), ValueError, "temperature must be"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call(torch.ones(3, 2))
