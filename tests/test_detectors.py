"""Scores of suspicion against their formulas, on heaps in which the poison is known."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from sslwork import detectors
from sslwork.seeds import generator

# Two classes of 60 rows; the last 8 of the first class stand apart, far from the origin as all others.
ROWS = torch.randn(120, 6, generator=generator(0)) + 5
ROWS[52:60, 0] += 8
LABELS = torch.arange(120) // 60
BAD = (torch.arange(120) >= 52) & (torch.arange(120) < 60)


def test_the_spectral_signature_is_its_formula():
    found = detectors.spectral_signature(ROWS, LABELS)
    for c in (0, 1):
        rows = ROWS[c == LABELS].double()
        centred = rows - rows.mean(0)
        _, vectors = torch.linalg.eigh(centred.T @ centred)
        direct = [float(sum(a * b for a, b in zip(r, vectors[:, -1], strict=True))) ** 2 for r in centred]
        assert found[c == LABELS].tolist() == pytest.approx(direct)
    torch.testing.assert_close(detectors.spectral_signature(ROWS + 100, LABELS), found, rtol=1e-3, atol=1e-3)
    assert set(found.argsort()[-8:].tolist()) == set(range(52, 60))


def test_activation_clustering_finds_the_small_heap():
    found = detectors.activation_clustering(ROWS, LABELS)
    assert detectors.report(found, BAD).auc == 1
    assert found[BAD].unique().numel() == 1 and 0 < found[52] < 0.5 * (1 - 2 * 8 / 60) + 1e-9
    alike = detectors.activation_clustering(torch.ones(9, 3), torch.zeros(9).long())
    assert alike.eq(0).all()


def test_activation_clustering_is_silhouette_times_smallness():
    found = detectors.activation_clustering(ROWS, LABELS)[:60]
    rows, small = ROWS[:60].double(), BAD[:60]
    apart = torch.cdist(rows, rows)
    silhouettes = []
    for i in range(60):
        own = small == small[i]
        a = apart[i][own].sum() / (own.sum() - 1)  # itself is 0 away
        b = apart[i][~own].mean()
        silhouettes.append(float((b - a) / max(a, b)))
    mean = sum(silhouettes) / 60
    assert found[BAD[:60]].tolist() == pytest.approx([mean * (0.5 - 8 / 60)] * 8, rel=1e-5)
    assert found[0] == pytest.approx(mean * (0.5 - 52 / 60), rel=1e-5)


def test_strip_is_the_entropy_of_mixtures_and_lowest_for_one_answer():
    def model(images):  # bright corner: class 0 for sure; else whatever the mean says
        sure = 40 * (images[:, 0, 0, 0] > 0.45).float()
        return torch.stack([sure, images.mean((1, 2, 3))], 1)

    clean = 0.4 * torch.rand(30, 1, 4, 4, generator=generator(1))
    images = clean[:10].clone()
    images[:4, :, 0, 0] = 1.0
    found = detectors.strip(model, images, clean, mixes=7, seed=2)
    rows = torch.randint(30, (7, 10), generator=generator(2))
    for i in range(10):
        total = 0.0
        for row in rows[:, i]:
            p = model((images[i : i + 1] + clean[row : row + 1]) / 2).double().softmax(1)[0]
            total -= sum(float(x) * math.log(x) for x in p if x > 0)
        assert float(found[i]) == pytest.approx(total / 7, abs=1e-5)
    assert detectors.report(found, torch.arange(10) < 4, suspicious="low").auc == 1


def test_the_report_of_a_score():
    score = torch.randn(200, generator=generator(3)) + 2.0 * (torch.arange(200) < 50)
    bad = torch.arange(200) < 50
    found = detectors.report(score, bad)
    assert found.auc == pytest.approx(roc_auc_score(bad, score))
    limit = score[~bad].sort(descending=True).values[7]  # 7 of 150 good rows lie above it
    assert found.tpr == pytest.approx(float((score[bad] > limit).double().mean()))
    low, high = found.interval
    for a in (low, high):
        v = a * (1 - a) / (50 * 150) * (1 + 99 * ((1 - a) / (2 - a) + a / (1 + a)))
        assert abs(a - found.auc) == pytest.approx(1.96 * math.sqrt(v))
    assert detectors.report(-score, bad, suspicious="low") == found
    worst, best = detectors.report(-1.0 * bad, bad), detectors.report(1.0 * bad, bad)
    assert worst.interval[1] == pytest.approx(1 - best.interval[0]) and 0.9 < best.interval[0] < 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: detectors.report(torch.ones(3), torch.ones(3)), TypeError, "True or False"),
        (lambda: detectors.report(torch.ones(3), torch.ones(3).bool()), ValueError, "one side"),
        (lambda: detectors.report(torch.tensor([1.0, np.nan]), np.array([True, False])), ValueError, "NaN"),
        (lambda: detectors.report(torch.ones(3), BAD), ValueError, "shape"),
        (lambda: detectors.report(torch.ones(3), BAD[:3], suspicious="up"), ValueError, "high"),
        (lambda: detectors.spectral_signature(ROWS, LABELS[:5]), ValueError, "labels"),
        (lambda: detectors.activation_clustering(ROWS, LABELS, components=0), ValueError, "components"),
        (lambda: detectors.activation_clustering(ROWS * torch.nan, LABELS), ValueError, "NaN"),
        (lambda: detectors.strip(len, ROWS, ROWS[:0]), ValueError, "clean"),
        (lambda: detectors.strip(lambda x: x * torch.nan, ROWS, ROWS), ValueError, "NaN for mixtures of 120"),
        (
            lambda: detectors.strip(len, ROWS[:, None, None], ROWS[:, None, :, None]),
            ValueError,
            "like images",
        ),
    ],
)
def test_bad_input_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
