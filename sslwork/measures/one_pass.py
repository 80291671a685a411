"""Probes from one pass over the bank: ridge regression and naive Bayes, both read from its `Moments`."""

import numpy as np
import torch
from torch import Tensor

from sslwork.measures.moments import Moments, moments
from sslwork.measures.score import Score
from sslwork.measures.stream import Rows, batches

Labels = Tensor | np.ndarray
STRENGTHS = tuple(10 ** (k / 2) for k in range(-12, 9))  # in units of the mean variance of a column


def ridge(
    bank: Rows | Moments,
    bank_labels: Labels | None,
    queries: Rows,
    labels: Labels | None,
    *,
    strength: float | None = None,
) -> Score:
    r"""The ridge probe: least squares on one-hot labels with a penalty; the largest output is the answer.

        B = (S + a n I)^-1 Zc' Yc,   a by generalised cross-validation:  GCV(a) = RSS(a) / (1 - df(a) / n)^2

    with df(a) = 1 + sum_j l_j / (l_j + a n), l the eigenvalues of S, and RSS over all classes.

    Args:
        bank, bank_labels: training features (N, D) and labels (N,), of any kind `moments` takes; or the `Moments` of a
            pass that saw labels, and None.
        queries, labels: test features (Q, D) and labels (Q,); a memory map or batches will do.
        strength: a in units of the mean variance of a column, > 0; None chooses from 1e-6 to 1e4.

    Raises:
        TypeError, ValueError: not floating point, NaN, no labels, labels that do not fit.

    Source: Golub, Heath, Wahba 1979, Technometrics 21 (generalised cross-validation).
    """
    m = _labelled(bank, bank_labels)
    t, values = m.reduced, m.reduced.eigenvalues().clamp(min=0)
    unit = float(values.sum()) / len(values) or 1.0  # a n, at strength 1
    if strength is not None and not 0 < strength < float("inf"):
        raise ValueError(f"strength must be a finite number above 0, got {strength}")
    counts = m.counts.double()[:, None].cpu()  # (C, 1)
    target = t.into((counts * (m.class_means - m.mean).cpu()).T)  # Q' Zc'Yc, (D, C)
    total = m.n - float(counts.square().sum()) / m.n  # |Yc|^2

    def fit(a: float) -> tuple[float, Tensor]:
        b = t.solve(a * unit, target)
        rss = total - 2 * float((b * target).sum()) + float((b * t.times(b)).sum())
        df = 1 + float((values / (values + a * unit)).sum())
        return (rss / (1 - df / m.n) ** 2 if df < m.n else float("inf")), b

    fits = {a: fit(a) for a in ((strength,) if strength else STRENGTHS)}
    best = min(fits, key=lambda a: fits[a][0])
    weight = t.back(fits[best][1]).to(m.mean.device)  # (D, C)
    offset = m.counts.double() / m.n - m.mean @ weight
    how = f"strength={best:.2g}" + (" (GCV)" if strength is None else "")
    return _read(m, weight, offset, queries, labels, f"ridge, {how}, {m.n:,} rows")


def naive_bayes(
    bank: Rows | Moments, bank_labels: Labels | None, queries: Rows, labels: Labels | None
) -> Score:
    r"""The naive Bayes probe: Gaussian classes with one diagonal variance for all. Good with few labels per class.

        log p(c | z) = log n_c / n - sum_d (z_d - m_cd)^2 / (2 v_d) + const

    v is pooled over classes, and not below 1e-9 of the largest variance of a column.

    Args:
        bank, bank_labels, queries, labels: as for `ridge`.

    Raises:
        TypeError, ValueError: not floating point, NaN, no labels, labels that do not fit.
    """
    m = _labelled(bank, bank_labels)
    largest = float(m.scatter.diagonal().max()) / m.n
    v = m.within_variance.clamp(min=1e-9 * largest or 1.0)
    centres = m.class_means - m.mean  # about the mean, so that a far one costs no digits
    weight = (centres / v).T  # (D, C)
    offset = m.counts.double().div(m.n).log() - (centres**2 / v).sum(1) / 2 - m.mean @ weight
    return _read(m, weight, offset, queries, labels, f"naive Bayes, pooled variance, {m.n:,} rows")


def _labelled(bank: Rows | Moments, labels: Labels | None) -> Moments:
    m = moments(bank, labels)
    if not m.labelled:
        raise ValueError("bank_labels is None and the bank saw none: there is nothing to learn from")
    return m


def _read(
    m: Moments, weight: Tensor, offset: Tensor, queries: Rows, labels: Labels | None, protocol: str
) -> Score:
    """Classify the queries batch by batch with z @ weight + offset; a class without rows is never the answer."""
    offset = offset.masked_fill(m.counts == 0, -torch.inf)
    predictions, truth = [], []
    for rows, y in batches(queries, labels, name="queries"):
        if y is None:
            raise ValueError("labels is None: these pictures have no labels to measure with")
        if rows.shape[1] != len(weight):
            raise ValueError(f"bank and queries must be of one width, got {len(weight)} and {rows.shape[1]}")
        scores = rows.to(weight.device, weight.dtype) @ weight + offset
        predictions.append(scores.argmax(1).cpu())
        truth.append(y.cpu())
    if not truth:
        raise ValueError("queries has no rows: there is nothing to measure")
    return Score.of(torch.cat(predictions), torch.cat(truth), int(m.counts.argmax()), protocol)
