"""Safety verification: proved regions hold no other class, and what is found is a change."""

import pytest
import torch
from torch import nn

from sslwork import attacks, bounds, verification
from sslwork.seeds import generator, seeded
from sslwork.verification import SAFE, UNKNOWN, UNSAFE, ladders, prove, prove_at, region, solve


def net_of(*widths, seed=0):
    with seeded(seed):
        parts = [nn.Linear(widths[0], widths[1]), nn.ReLU(), nn.Linear(widths[1], widths[2])]
    return nn.Sequential(*parts).double()


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=generator(seed, 4), dtype=torch.double)


@pytest.fixture
def tent():
    """Class 1 where relu(a - 0.4) - 2 relu(a - 0.5) + relu(a - 0.6) > 0.05: on (0.45, 0.55) alone."""
    net = net_of(1, 3, 2)
    for layer, weight, bias in (
        (net[0], [[1.0]] * 3, [-0.4, -0.5, -0.6]),
        (net[2], [[0.0, 0, 0], [1, -2, 1]], [0, -0.05]),
    ):
        layer.weight.data = torch.tensor(weight, dtype=torch.double)
        layer.bias.data = torch.tensor(bias, dtype=torch.double)
    return net


def test_a_coarse_grid_misses_the_tent_a_fine_one_finds_it_and_no_proof_is_given(tent):
    x = torch.zeros(1).double()
    lo, hi = torch.zeros(1).double(), torch.ones(1).double()
    coarse = ladders(tent, x, 0, [0], span=0.2, count=5)
    assert (coarse.outcome, coarse.looked) == (SAFE, 6)
    fine = ladders(tent, x, 0, [0], span=0.05, count=20)
    assert fine.outcome == UNSAFE
    assert fine.point.item() == pytest.approx(0.5)
    assert prove(tent, lo, hi, 0).outcome == UNSAFE
    assert prove(tent, lo, hi, 0, budget=1).outcome != SAFE
    assert solve(tent, lo, hi, 0).outcome == UNSAFE
    for a, b in ((0.0, 0.44), (0.56, 1.0)):
        low, high = lo + a, lo + b
        assert prove(tent, low, high, 0).outcome == solve(tent, low, high, 0).outcome == SAFE


def test_a_tie_is_never_safe(tent):
    lo, hi = torch.tensor([[0.3], [0.45]], dtype=torch.double)  # reaches 0 at its very end
    assert prove(tent, lo, hi, 0, smallest=1e-6).outcome != SAFE
    assert solve(tent, lo, hi, 0).outcome != SAFE


def test_what_the_solver_cannot_tell_from_a_tie_is_not_safe(tent):
    """It stops within 1e-6 of the least margin; a point that it returns is asked of the net before it counts."""
    lo = torch.tensor([0.3]).double()
    for away, outcome in ((0.0, UNKNOWN), (5e-7, UNKNOWN), (5e-6, SAFE), (-1e-3, UNSAFE)):
        assert solve(tent, lo, lo * 0 + 0.45 - away, 0).outcome == outcome


def test_a_region_ends_at_the_box():
    x = torch.tensor([0.05, 0.5, 0.98], dtype=torch.double)
    lo, hi = region(x, [0, 2], 0.1)
    torch.testing.assert_close(torch.stack([lo, hi]), torch.tensor([[0, 0.5, 0.88], [0.15, 0.5, 1]]).double())
    assert region(x, [0], 0.1, box=None)[0][0] < 0


@pytest.mark.parametrize("radius", [0.02, 0.1, 0.3])
def test_verdicts_are_sound_exclusive_and_agree(radius):
    net = net_of(4, 8, 3, seed=1)
    for x in drawn(6, 4):
        y = int(net(x[None]).argmax())
        lo, hi = region(x, [0, 2], radius)
        found = [prove(net, lo, hi, y), solve(net, lo, hi, y)]
        proved = {each.outcome for each in found}
        assert not {SAFE, UNSAFE} <= proved
        assert solve(net, lo, hi, y).outcome == (
            SAFE if bounds.least_margin(net, lo, hi, y).value > 0 else UNSAFE
        )
        for each in found:
            if each.outcome == UNSAFE:
                assert ((each.point >= lo) & (each.point <= hi)).all()
                assert net(each.point[None]).argmax() != y
        if SAFE in proved:
            points = lo + (hi - lo) * drawn(10_000, 4, seed=7)
            attacked = attacks.pgd(
                net,
                x[None],
                torch.tensor([y]),
                eps=radius,
                project=lambda d: d * torch.tensor([1.0, 0, 1, 0]),
            )
            assert (net(torch.cat([points, attacked])).argmax(1) == y).all()
            assert ladders(net, x, y, [0, 2], span=radius / 4, count=4).outcome == SAFE


def test_safe_boxes_have_safe_parts_and_a_point_is_safe():
    net = net_of(3, 6, 2)
    for x in drawn(5, 3):
        y = int(net(x[None]).argmax())
        outcomes = [
            prove(net, *region(x, [0, 1, 2], radius), y).outcome for radius in (0.0, 0.05, 0.1, 0.2, 0.4)
        ]
        first = next((i for i, outcome in enumerate(outcomes) if outcome != SAFE), len(outcomes))
        assert outcomes[0] == SAFE
        assert SAFE not in outcomes[first:]
        assert ladders(net, x, y, [0, 1], span=0.1, count=0).outcome == SAFE


def test_ladders_count_their_points_stay_in_the_box_and_find_the_nearest():
    net, x = net_of(3, 6, 2), torch.tensor([0.5, 0.5, 0.05]).double()
    y = int(net(x[None]).argmax())
    seen = []

    def watched(points):
        seen.append(points)
        return net(points)

    found = ladders(watched, x, y, [0, 1, 2], span=0.1, count=2)
    points = torch.cat(seen)
    assert found.looked <= 5**3 and len(points) == found.looked == 5 * 5 * 3, "two steps down leave the box"
    assert points.min() >= 0
    assert len(points.unique(dim=0)) == len(points)

    def first_coordinate(points):
        return torch.stack([0.65 - points[:, 0], torch.zeros(len(points))], 1)

    found = ladders(first_coordinate, x, 0, [0, 1], span=0.1, count=4)
    torch.testing.assert_close(found.point, torch.tensor([0.7, 0.5, 0.05]).double())


def test_no_split_is_interval_bounds_alone():
    net = net_of(2, 8, 2, seed=3)
    for x in drawn(10, 2):
        y = net(x[None]).argmax(1)
        lo, hi = region(x, [0, 1], 0.05)
        one = prove(net, lo, hi, int(y), budget=1).outcome == SAFE
        assert one == bool(bounds.certified(net, x[None], y, eps=0.05))


def test_cells_fill_the_region():
    net = net_of(2, 8, 2, seed=3)
    for x in drawn(6, 2):
        lo, hi = region(x, [0, 1], 0.3)
        for budget in (5, 20_000):
            found = prove(net, lo, hi, int(net(x[None]).argmax()), smallest=0.01, budget=budget)
            area = sum(float((b - a).prod(1).sum()) for a, b in found.cells.values())
            assert area == pytest.approx(float((hi - lo).prod()))
            assert found.looked <= budget


def test_safe_behind_a_layer_is_safe_in_front():
    net = net_of(2, 6, 2, seed=4)
    safe = 0
    for x in drawn(8, 2):
        y = int(net(x[None]).argmax())
        lo, hi = region(x, [0, 1], 0.1)
        for layer in (0, 1, 2):
            found = prove_at(net, lo, hi, y, layer, smallest=0.05, budget=500)
            assert found.outcome in ((SAFE, UNKNOWN) if layer else (SAFE, UNSAFE, UNKNOWN))
            if layer and found.outcome == SAFE:
                assert solve(net, lo, hi, y).outcome == SAFE
                safe += 1
    assert safe


def test_a_change_behind_a_layer_that_no_input_reaches_is_not_unsafe(tent):
    lo, hi = torch.tensor([[0.56], [1.0]], dtype=torch.double)
    assert solve(tent, lo, hi, 0).outcome == SAFE
    assert prove_at(tent, lo, hi, 0, 2).outcome == UNKNOWN


def test_a_wrong_answer_is_unsafe_at_once():
    net, x = net_of(2, 6, 2), drawn(2)
    y = 1 - int(net(x[None]).argmax())
    lo, hi = region(x, [0, 1], 0.0)
    assert ladders(net, x, y, [0], span=0.1, count=0).outcome == UNSAFE
    assert prove(net, lo, hi, y).outcome == UNSAFE == solve(net, lo, hi, y).outcome


def test_most_deviating_dimensions():
    assert verification.most_deviating(torch.tensor([[0.5, 0.0], [0.5, 0.9]]), 2) == [1, 3]


def test_bad_input_is_refused():
    net, x = net_of(2, 4, 2), drawn(2)
    with pytest.raises(ValueError, match="span must be"):
        ladders(net, x, 0, [0], span=0.0, count=2)
    with pytest.raises(ValueError, match="too many"):
        ladders(net, x, 0, [0, 1] * 4, span=0.1, count=9)
    with pytest.raises(ValueError, match="x must lie in"):
        ladders(net, x + 1, 0, [0], span=0.1, count=1)
    with pytest.raises(ValueError, match="layer must lie"):
        prove_at(net, x, x, 0, 3)
    with pytest.raises(ValueError, match="count must lie"):
        verification.most_deviating(x, 3)
    with pytest.raises(ValueError, match="NaN or infinite logits"):  # and not UNSAFE
        ladders(lambda points: net(points) * torch.nan, x, 1, [0], span=0.1, count=1)
