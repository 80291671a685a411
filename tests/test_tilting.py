"""Boundary tilting: angles, strengths and mirror images of linear classifiers."""

import math

import pytest
import torch
from sklearn.neighbors import NearestCentroid

from sslwork import attacks, tilting
from sslwork.seeds import generator
from sslwork.tilting import Boundary

D = 6


def drawn(seed=0, n=40):
    """Two classes in six dimensions, and their means."""
    draw = generator(seed)
    labels = torch.arange(n) % 2
    rows = torch.randn(n, D, generator=draw, dtype=torch.double) + 2.0 * labels[:, None]
    return rows, labels, *tilting.centroids(rows, labels)


def random_boundary(seed=0):
    normal = torch.randn(D, generator=generator(seed, 1), dtype=torch.double)
    return Boundary(normal.abs(), -2.0)  # i - j points up in every coordinate: class I is positive


def test_nearest_centroid_is_not_tilted():
    _, _, i, j = drawn()
    z = tilting.nearest_centroid(i, j)
    assert tilting.deviation_angle(z, z) == pytest.approx(0, abs=1e-6)
    assert tilting.adversarial_strength(z, i, j) == pytest.approx(1)
    torch.testing.assert_close(z.mirror(torch.stack([i, j])), torch.stack([j, i]))


def test_nearest_centroid_is_that_of_scikit_learn():
    rows, labels, i, j = drawn()
    theirs = NearestCentroid().fit(rows.numpy(), labels.numpy()).predict(rows.numpy())
    assert ((tilting.nearest_centroid(i, j).score(rows) > 0).long().numpy() == theirs).all()


@pytest.mark.parametrize(("degrees", "strength"), [(0, 1), (60, 2), (85, 11.4737), (-60, 2)])
def test_strength_is_one_over_the_cosine(degrees, strength):
    """The tiny case: two points a class on a line, and every tilt below 90 degrees is without error."""
    rows = torch.tensor([[1.0, 0], [3, 0], [-1, 0], [-3, 0]], dtype=torch.double)
    labels = torch.tensor([1, 1, 0, 0])
    i, j = tilting.centroids(rows, labels)
    z = tilting.nearest_centroid(i, j)
    c = tilting.tilt(z, torch.tensor([0.0, 1.0], dtype=torch.double), degrees, (i + j) / 2)
    assert ((c.score(rows) > 0) == labels.bool()).all()
    assert tilting.deviation_angle(c, z) == pytest.approx(abs(degrees), abs=1e-9)
    assert tilting.adversarial_strength(c, i, j) == pytest.approx(strength, rel=1e-5)


def test_strength_by_the_formula_wherever_the_boundary_passes():
    """Between the means the offset does not matter; beyond them it does."""
    _, _, i, j = drawn()
    c, z = random_boundary(), tilting.nearest_centroid(i, j)
    cosine = math.cos(math.radians(tilting.deviation_angle(c, z)))
    for share in (0.1, 0.5, 0.9, 1.5):
        moved = Boundary.through(j + share * (i - j), c.normal)
        sides = [abs(sum(a * b for a, b in zip(moved.normal, m, strict=True)) + moved.offset) for m in (i, j)]
        by_hand = float((i - j).norm() / 2 / (sum(sides) / 2))
        assert tilting.adversarial_strength(moved, i, j) == pytest.approx(by_hand)
        assert (by_hand == pytest.approx(1 / cosine)) == (share < 1)


def test_mirror_images_flip_the_score_and_come_back():
    rows, *_ = drawn()
    c = random_boundary()
    torch.testing.assert_close(c.mirror(c.mirror(rows)), rows)
    torch.testing.assert_close(c.score(c.mirror(rows)), -c.score(rows))
    torch.testing.assert_close((c.mirror(rows) - rows).norm(dim=1), 2 * c.distance(rows))


def test_scaling_changes_nothing():
    rows, _, i, j = drawn()
    c = random_boundary()
    scaled = Boundary(7 * c.normal, 7 * c.offset)
    torch.testing.assert_close(scaled.score(rows), c.score(rows))
    assert tilting.adversarial_strength(scaled, i, j) == pytest.approx(tilting.adversarial_strength(c, i, j))


def test_rotation_changes_neither_angle_nor_strength():
    _, _, i, j = drawn()
    c, z = random_boundary(), tilting.nearest_centroid(i, j)
    turn = torch.linalg.qr(torch.randn(D, D, generator=generator(3), dtype=torch.double))[0]
    turned = Boundary(turn @ c.normal, c.offset)
    turned_z = tilting.nearest_centroid(turn @ i, turn @ j)
    assert tilting.deviation_angle(turned, turned_z) == pytest.approx(tilting.deviation_angle(c, z))
    assert tilting.adversarial_strength(turned, turn @ i, turn @ j) == pytest.approx(
        tilting.adversarial_strength(c, i, j)
    )


def test_constant_pixels_change_nothing_for_the_nearest_centroid_but_give_room_to_tilt():
    rows, labels, *_ = drawn()
    wide = torch.cat([rows, torch.full((len(rows), 3), 0.5).double()], 1)
    i, j = tilting.centroids(wide, labels)
    z = tilting.nearest_centroid(i, j)
    torch.testing.assert_close(
        z.score(wide), tilting.nearest_centroid(*tilting.centroids(rows, labels)).score(rows)
    )
    for degrees in (60, 89):
        c = tilting.tilt(z, torch.eye(D + 3).double()[-1], degrees, (i + j) / 2)
        assert ((c.score(wide) > 0) == (z.score(wide) > 0)).all()
        assert tilting.adversarial_strength(c, i, j) == pytest.approx(1 / math.cos(math.radians(degrees)))


def test_labels_stay_where_the_tilt_is_outweighed():
    """|z . x + z_0| > tan(theta) |u . (x - mid)|."""
    rows, _, i, j = drawn()
    z, mid = tilting.nearest_centroid(i, j), (i + j) / 2
    u = torch.zeros(D).double()
    u[0], u[1] = z.normal[1], -z.normal[0]
    u /= u.norm()
    c = tilting.tilt(z, u, 50, mid)
    safe = z.score(rows).abs() > math.tan(math.radians(50)) * ((rows - mid) @ u).abs()
    same = (c.score(rows) > 0) == (z.score(rows) > 0)
    assert same[safe].all()
    assert 0 < safe.sum() < len(rows)
    assert not same.all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_pgd_without_a_box_needs_the_distance_to_the_boundary(norm):
    rows, *_ = drawn()
    c = random_boundary()
    y = (c.score(rows) > 0).long()

    def logits(x):
        return torch.stack([-c.score(x), c.score(x)], 1)

    for k, away in enumerate(c.distance(rows[:4], norm)):
        for share, flips in ((0.999, False), (1.001, True)):
            x = attacks.pgd(
                logits,
                rows[k : k + 1],
                y[k : k + 1],
                norm=norm,
                eps=share * float(away),
                random_start=False,
                box=None,
            )
            assert bool((c.score(x) > 0) != y[k]) == flips


def test_lda_of_a_common_diagonal_covariance_tilts_by_variances():
    """Normal (i - j)_k / lambda_k; if i - j lies along an axis there is no tilt."""
    variances = torch.tensor([1.0, 0.25, 4.0]).double()
    for difference, cosine in (([1.0, 0, 0], 1.0), ([1.0, 1, 1], 5.25 / math.sqrt(3 * 17.0625))):
        i = torch.tensor(difference).double()
        z = tilting.nearest_centroid(i, -i)
        lda = Boundary.through(torch.zeros(3).double(), i / variances)
        assert tilting.deviation_angle(lda, z) == pytest.approx(math.degrees(math.acos(cosine)), abs=1e-9)


def test_components_are_those_of_the_centred_rows():
    rows = (
        torch.randn(50, 4, generator=generator(5), dtype=torch.double) * torch.tensor([3.0, 2, 1, 0]).double()
    )
    found, moved = tilting.components(rows), tilting.components(rows + 100)
    torch.testing.assert_close(found.variances, moved.variances)
    torch.testing.assert_close(found.directions @ found.directions.T, torch.eye(4).double())
    scores = (rows - rows.mean(0)) @ found.directions.T
    torch.testing.assert_close(scores.var(0), found.variances)
    assert (found.variances.diff() <= 0).all()
    torch.testing.assert_close(
        found.shares(torch.tensor([0.0, 0, 0, 5]).double()).round(decimals=6)[-1].item(), 1.0
    )
    assert float(found.shares(rows[0]).sum()) == pytest.approx(1)


def test_bad_input_is_refused():
    rows, labels, i, j = drawn()
    z = tilting.nearest_centroid(i, j)
    with pytest.raises(ValueError, match="other than 0"):
        tilting.nearest_centroid(i, i)
    with pytest.raises(ValueError, match="other than 0"):
        Boundary(torch.full((D,), math.nan), 0.0)
    with pytest.raises(ValueError, match="two classes"):
        tilting.centroids(rows, labels + 1)
    with pytest.raises(ValueError, match="positive side"):
        tilting.deviation_angle(Boundary(-z.normal, -z.offset), z)
    with pytest.raises(ValueError, match="between -90 and 90"):
        tilting.tilt(z, rows[0], 90, i)
    with pytest.raises(ValueError, match="nothing to tilt"):
        tilting.tilt(z, 3 * z.normal, 10, i)
    with pytest.raises(ValueError, match="norm must be"):
        z.distance(rows, "l1")
    with pytest.raises(ValueError, match="not both on the boundary"):
        tilting.adversarial_strength(Boundary(torch.tensor([1.0, 0]), 0.0), torch.zeros(2), torch.zeros(2))
    with pytest.raises(ValueError, match="one column"):
        tilting.components(rows[:, :1])
