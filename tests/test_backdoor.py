"""Triggers against their formulas, poisoning that leaves the rest alone, and the row that reports with its controls."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn

from sslwork import backdoor
from sslwork.backdoor.ctrl import YUV
from sslwork.backdoor.patterns import add
from sslwork.data import PictureSet
from sslwork.seeds import generator

COLOUR = torch.rand(5, 3, 16, 16, generator=generator(0))
GREY = COLOUR[:, :1]
SET = PictureSet(torch.rand(40, 3, 16, 16, generator=generator(1)), torch.arange(40) % 4)
PLAIN = 0.5 + torch.zeros(1, 3, 32, 32)  # far from both ends: nothing is clipped


def by_transforms(picture, magnitude, n):
    """The paper's way, window by window: colours, DCT, add, back."""
    yuv = np.einsum("ij,jhw->ihw", YUV, 255 * picture.double().numpy())
    for c in (1, 2):
        for i in range(0, yuv.shape[1], n):
            for j in range(0, yuv.shape[2], n):
                spectrum = dctn(yuv[c, i : i + n, j : j + n], norm="ortho")
                for p in (n // 2 - 1, n - 1):
                    spectrum[p, p] += magnitude
                yuv[c, i : i + n, j : j + n] = idctn(spectrum, norm="ortho")
    return np.einsum("ij,jhw->ihw", np.linalg.inv(YUV), yuv).clip(0, 255) / 255


@pytest.mark.parametrize("window", [None, 8])
def test_ctrl_is_the_transform_way(window):
    found = backdoor.ctrl_trigger(COLOUR, magnitude=60.0, window=window)
    direct = np.stack([by_transforms(each, 60.0, window or 16) for each in COLOUR])
    np.testing.assert_allclose(found.numpy(), direct, atol=1e-6)


def test_ctrl_of_nothing_is_nothing_and_twice_is_twice():
    once = partial(backdoor.ctrl_trigger, magnitude=20.0)
    assert torch.equal(backdoor.ctrl_trigger(COLOUR, magnitude=0.0), COLOUR)
    torch.testing.assert_close(once(once(PLAIN)), backdoor.ctrl_trigger(PLAIN, magnitude=40.0))


def test_ctrl_moves_two_coefficients_of_the_colours_and_not_the_brightness():
    y, u, v = np.einsum("ij,jhw->ihw", YUV, 255 * backdoor.ctrl_pattern(32, magnitude=100).double().numpy())
    assert np.abs(y).max() < 1e-4
    for wave in (u, v):
        spectrum = dctn(wave, norm="ortho")
        assert spectrum[15, 15] == pytest.approx(100, abs=1e-3) == spectrum[31, 31]
        spectrum[[15, 31], [15, 31]] = 0
        assert np.abs(spectrum).max() < 1e-3
        assert (wave**2).sum() == pytest.approx(2 * 100**2, rel=1e-5)
    assert np.abs(v).max() <= 12.5 and 255 * backdoor.ctrl_pattern(32, magnitude=100)[2].abs().max() <= 25.4


def test_ctrl_keeps_its_amplitude_with_m_over_n():
    one = [
        backdoor.ctrl_pattern(n, magnitude=50 * n / 16, frequencies=(n - 1,)).abs().max() for n in (16, 32)
    ]
    assert one[0] == pytest.approx(float(one[1]), rel=0.02)


def test_greyscale_takes_ctrl_away():
    luma = torch.tensor(YUV[0]).float()
    grey = [
        torch.einsum("c,nchw->nhw", luma, x) for x in (PLAIN, backdoor.ctrl_trigger(PLAIN, magnitude=100))
    ]
    torch.testing.assert_close(*grey, atol=1e-6, rtol=0)


def test_lattice_is_its_formula():
    g = backdoor.lattice_pattern(7, 9, alpha=0.3, gamma=2, beta=1)
    for i in range(7):
        for j in range(9):
            assert g[i, j] == (pytest.approx(0.3) if i % 3 < 2 and j % 3 < 2 else 0)
    g = backdoor.lattice_pattern(32, 32, alpha=0.2)
    assert g.count_nonzero() == 256 and g.mean() == pytest.approx(0.2 / 4)
    assert all(torch.equal(g.roll(2, axis), g) for axis in (0, 1))


def test_every_crop_of_one_period_holds_a_whole_square():
    g = backdoor.lattice_pattern(11, 13, alpha=1.0, gamma=2, beta=3)
    assert g.count_nonzero() == (2 + 2 + 1) * (
        2 + 2 + 2
    )  # ceil(11 / 5) by ceil(13 / 5) squares, cut at the end
    assert (g.unfold(0, 5, 1).unfold(1, 5, 1).sum((2, 3)) == 4).all()


def test_lattice_brightens_and_never_wraps():
    found = backdoor.lattice_trigger(GREY, alpha=0.5)
    assert (found >= GREY).all() and torch.equal(backdoor.lattice_trigger(GREY, alpha=0.0), GREY)
    white = PictureSet(torch.ones(4, 1, 8, 8), torch.zeros(4).long())
    poisoned = backdoor.Poison(backdoor.lattice_trigger, 0, 1.0)(white)
    assert (poisoned.pictures.images == 255).all()


def test_half_a_lattice_is_left_where_half_a_picture_is_and_a_patch_is_not():
    """A cutout of half the picture at a random place."""
    g = backdoor.lattice_pattern(16, 16, alpha=1.0)
    patch = backdoor.patch_trigger(torch.zeros(1, 1, 16, 16))[0, 0]
    left = []
    for x in torch.randint(0, 9, (20,), generator=generator(3)).tolist():
        seen = torch.ones(16, 16)
        seen[:, x : x + 8] = 0
        assert (g * seen * g).sum() >= 0.5 * (g * g).sum()
        left.append(float((patch * seen).sum()) / 9)
    assert min(left) == 0 and max(left) == 1


def test_patch_blend_and_noise():
    found = backdoor.patch_trigger(COLOUR, side=2, corner="upper right")
    assert (found[..., :2, -2:] == 1).all() and torch.equal(found[..., 2:, :], COLOUR[..., 2:, :])
    other = torch.rand(3, 16, 16, generator=generator(2))
    torch.testing.assert_close(backdoor.blend_trigger(COLOUR, other, alpha=0.2), 0.8 * COLOUR + 0.2 * other)
    like = backdoor.ctrl_pattern(32, magnitude=50)
    change = backdoor.noise_trigger(PLAIN, like=like, seed=4) - PLAIN
    assert float(change.square().mean()) == pytest.approx(float(like.square().mean()), rel=1e-4)
    assert len((255 * change).round().unique()) == 2


def test_poison_replaces_some_rows_of_the_class_once_and_nothing_else():
    before = SET.fingerprint()
    for select, rows in (("first", [1, 5]), ("random", None)):
        found = backdoor.Poison(backdoor.lattice_trigger, 1, 0.05, select, seed=3)(SET)
        assert SET.fingerprint() == before and len(found.rows) == 2
        assert rows is None or found.rows.tolist() == rows
        assert (SET.labels[found.rows] == 1).all() and torch.equal(found.pictures.labels, SET.labels)
        changed = (found.pictures.images != SET.images).flatten(1).any(1).nonzero().flatten()
        assert torch.equal(changed, found.rows)
        assert (SET.images[found.rows].int() - found.pictures.images[found.rows].int()).max() <= 128
        assert (found.rate, found.rate_of_class) == (0.05, 0.2)
    again = backdoor.Poison(backdoor.lattice_trigger, 1, 0.05, seed=3)(SET)
    assert torch.equal(again.rows, found.rows)


@pytest.mark.parametrize(("rate", "count"), [(0.029, 2), (0.29, 29), (0.999, 99)])
def test_as_many_as_the_rate_allows_and_no_more(rate, count):
    """floor(rate N), though 0.29 * 100 is a little less than 29; and bytes are rounded, not cut."""
    grey = PictureSet(torch.full((100, 1, 4, 4), 100, dtype=torch.uint8), torch.zeros(100).long())
    found = backdoor.Poison(lambda x: x + 0.7 / 255, 0, rate)(grey)
    assert len(found.rows) == count == int((found.pictures.images == 101).all(1).all(1).all(1).sum())


def test_no_poison_is_the_clean_set_itself():
    found = backdoor.Poison(backdoor.lattice_trigger, 1, 0.0)(SET)
    assert found.pictures is SET and len(found.rows) == 0


def test_poison_of_others_and_with_changed_labels():
    others = backdoor.Poison(backdoor.patch_trigger, 1, 0.5, "others")(SET)
    assert (SET.labels[others.rows] != 1).all()
    dirty = backdoor.Poison(backdoor.patch_trigger, 1, 0.5, "any", relabel=True)(SET)
    assert (dirty.pictures.labels[dirty.rows] == 1).all() and (SET.labels[dirty.rows] != 1).any()


def test_the_report_counts_without_the_target():
    """A model that reads the first pixel: bright is class 1."""

    def reads(images):
        return (images[:, 0, 0, 0] > 0.9).long()

    dark = PictureSet(torch.zeros(10, 1, 8, 8), torch.tensor([0] * 6 + [1] * 4))
    corner = partial(backdoor.patch_trigger, corner="upper left")
    found = backdoor.report(reads, lambda x: torch.zeros(len(x)).long(), dark, corner, 1)
    assert (found.ca.value, found.asr.value, found.base.value, found.control.value) == (0.6, 1.0, 0.0, 0.0)
    assert found.others == 6 and found.gain == 1.0 and len(found.table()) == 1
    low, high = found.asr.interval
    assert low == pytest.approx(6 / (6 + 1.96**2), rel=1e-3) and high == pytest.approx(1)
    assert found.row["ASR"] == 1.0 and "0.60" in str(found)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: backdoor.ctrl_trigger(GREY, magnitude=1), "three channels"),
        (lambda: backdoor.ctrl_trigger(COLOUR, magnitude=-1), "magnitude"),
        (lambda: backdoor.ctrl_trigger(COLOUR, magnitude=1, window=5), "window"),
        (lambda: backdoor.ctrl_trigger(COLOUR, magnitude=1, frequencies=(3, 16)), "frequencies"),
        (lambda: backdoor.lattice_trigger(GREY, alpha=30), "of 255 divide"),
        (lambda: backdoor.lattice_trigger(GREY, gamma=0), "gamma"),
        (lambda: backdoor.patch_trigger(GREY, side=20), "side"),
        (lambda: backdoor.patch_trigger(GREY, corner="middle"), "corner"),
        (lambda: backdoor.blend_trigger(GREY, GREY[0], alpha=2), "alpha"),
        (lambda: add(GREY, torch.full((16, 16), torch.nan)), "NaN"),
        (lambda: add(GREY, torch.zeros(3, 16, 16)), "does not fit"),
        (lambda: backdoor.lattice_trigger(GREY * torch.nan), "images hold NaN"),
        (lambda: backdoor.Poison(backdoor.patch_trigger, 1, 2.0), "rate"),
        (lambda: backdoor.Poison(backdoor.patch_trigger, 1, 0.5)(SET), "lower the rate"),
        (lambda: backdoor.report(len, len, PictureSet(GREY, torch.zeros(5).long()), len, 0), "class 0"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_bytes_are_refused():
    with pytest.raises(TypeError, match="floating point"):
        backdoor.lattice_trigger(SET.images)


def test_entanglement_is_the_mean_over_all_pairs():
    triggered, clean = torch.randn(2, 4, 6, generator=generator(5), dtype=torch.double)
    target = torch.randn(3, 6, generator=generator(6), dtype=torch.double)

    def mean_cosine(rows):
        pairs = [(a @ b) / (a.norm() * b.norm()) for a in rows for b in target]
        return float(sum(pairs) / len(pairs))

    found = backdoor.entanglement(triggered, clean, target)
    assert found == pytest.approx(mean_cosine(triggered) - mean_cosine(clean))
    assert backdoor.entanglement(clean, clean, target) == 0
    assert backdoor.entanglement(3 * triggered, clean, 0.1 * target) == pytest.approx(found)
    with pytest.raises(ValueError, match="wide"):
        backdoor.entanglement(triggered, clean, target[:, :2])
