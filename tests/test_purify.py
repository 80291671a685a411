"""Filters before a classifier: the controls, the attacker's gradient, the table of attackers."""

import pytest
import torch

from sslwork import attacks, nets, purify
from sslwork.purify.controls import Control
from sslwork.seeds import generator

X = torch.rand(6, 3, 8, 8, generator=generator(0))
Y = torch.arange(6)
CONTROLS = [purify.Median(), purify.Blur(), purify.Jpeg(), purify.BitDepth(), purify.DownUp()]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: type(c).__name__)
def test_controls_keep_shape_range_and_constants_and_are_drawn_nowhere(control):
    for x in (X, X[:, :1]):
        found = control(x)
        assert found.shape == x.shape and found.min() >= 0 and found.max() <= 1
        assert torch.equal(found, control(x)) and control.deterministic
    flat = torch.full((1, 3, 8, 8), 0.4)
    assert (control(flat) - flat).abs().max() < 2 / 255
    x = X.clone().requires_grad_()
    assert torch.autograd.grad(control.soft(x).sum(), x)[0].abs().max() > 0


def test_median_and_blur_against_loops():
    padded = torch.nn.functional.pad(X, [1, 1, 1, 1], mode="replicate")
    for i, j in ((0, 0), (3, 4), (7, 7)):
        window = padded[1, 2, i : i + 3, j : j + 3].flatten()
        assert purify.Median()(X)[1, 2, i, j] == window.sort().values[4]
    impulse = torch.zeros(1, 1, 9, 9)
    impulse[..., 4, 4] = 1
    found = purify.Blur(1.0)(impulse)[0, 0]
    torch.testing.assert_close(found[4, 5] / found[4, 4], torch.tensor(-0.5).exp())
    torch.testing.assert_close(found.sum(), torch.tensor(1.0))


def test_bit_depth_has_so_many_values():
    assert len(purify.BitDepth(2)(X).unique()) == 4


def test_straight_through_is_hard_to_the_bit_and_soft_in_its_gradient():
    x = X.clone().requires_grad_()
    found = purify.straight_through((x * 7).round() / 7, 3 * x)
    assert torch.equal(found, (x * 7).round() / 7)
    assert torch.equal(torch.autograd.grad(found.sum(), x)[0], torch.full_like(x, 3))


def test_guarded_runs_the_filter_whatever_the_gradient():
    net, bits = nets.small_conv(channels=3, classes=6), purify.BitDepth(3)
    for knowledge in ("BPDA", "adaptive"):
        x = X.clone().requires_grad_()
        assert torch.equal(purify.Guarded(net, bits, knowledge)(x), net(bits(x)))
        inner = bits(X).requires_grad_()
        expected = torch.autograd.grad(net(inner).sum(), inner)[0]
        found = torch.autograd.grad(purify.Guarded(net, bits, knowledge)(x).sum(), x)[0]
        torch.testing.assert_close(found, expected)
    assert torch.equal(purify.Guarded(net, bits, "oblivious")(X), net(X))


def test_adaptive_is_the_gradient_of_the_composition_where_there_is_one():
    net, blur = nets.small_conv(channels=3, classes=6).double(), purify.Blur()
    x = X.double().requires_grad_()
    expected = torch.autograd.grad(net(blur(x)).sum(), x)[0]
    torch.testing.assert_close(torch.autograd.grad(purify.Guarded(net, blur)(x).sum(), x)[0], expected)


def test_bpda_takes_the_gradient_of_the_filter_for_the_identity_even_where_there_is_one():
    net, blur, x = nets.small_conv(channels=3, classes=6).double(), purify.Blur(), X.double().requires_grad_()
    behind = blur(X.double()).requires_grad_()
    expected = torch.autograd.grad(net(behind).sum(), behind)[0]
    found = torch.autograd.grad(purify.Guarded(net, blur, "BPDA")(x).sum(), x)[0]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("deterministic", "calls"), [(True, 2), (False, 6)])
def test_a_filter_that_draws_is_attacked_over_several_draws(deterministic, calls):
    class Counting(Control):
        def soft(self, x):
            seen.append(len(x))
            return x

    Counting.deterministic, seen = deterministic, []
    net = nets.small_conv(channels=3, classes=6)
    purify.table(net, {"counting": Counting()}, X, Y, eps=0.1, n_iter=2, eot=3)
    assert len(seen) == calls


def test_table_at_eps_0_is_the_clean_accuracy_and_worst_is_the_least():
    net = nets.small_conv(channels=3, classes=6)
    filters = {"blur": purify.Blur(), "bits": purify.BitDepth(3)}
    for eps in (0.0, 0.1):
        found = purify.table(net, filters, X, Y, eps=eps, n_iter=3).set_index(["filter", "attack"])
        assert set(found.loc["none"].index) == {"clean", "noise", "FGSM", "PGD", "worst"}
        for name in ("none", *filters):
            rows = found.loc[name]
            assert rows.accuracy["worst"] == min(rows.accuracy) if eps == 0 else True
            assert rows.accuracy["worst"] <= rows.accuracy.min()
            assert ((rows.low <= rows.accuracy) & (rows.accuracy <= rows.high)).all()
            if eps == 0:
                assert (rows.accuracy == rows.accuracy["clean"]).all()
    assert found.loc["blur"].accuracy["clean"] == attacks.accuracy(lambda x: net(purify.Blur()(x)), X, Y)


def test_bad_input_is_refused():
    net = nets.small_conv(channels=3, classes=6)
    with pytest.raises(ValueError, match="knowledge must be one of"):
        purify.Guarded(net, Control(), "omniscient")
    with pytest.raises(ValueError, match="no filter may be called 'none'"):
        purify.table(net, {"none": Control()}, X, Y, eps=0.1)
    with pytest.raises(ValueError, match="one shape"):
        purify.straight_through(X, X[:, :1])

    class Smaller(Control):
        def __call__(self, x):
            return x[..., ::2, ::2]

    with pytest.raises(ValueError, match="keep the shape"):
        purify.Guarded(net, Smaller())(X)
    for filter, bad in (
        (purify.Median, 4), (purify.Blur, 0.0), (purify.DownUp, 0), (purify.BitDepth, 0), (purify.Jpeg, 100),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"got {bad}"):
            filter(bad)
    with pytest.raises(ValueError, match="x holds NaN"):
        purify.Jpeg()(X / 0 * 0)
