"""How well a score tells bad pictures from good ones: area under the curve with its interval, and what 5 % alarms find."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Detection:
    """`auc` with its 95 % `interval`; `tpr`, the share of bad rows found where 5 % of the good raise an alarm."""

    auc: float
    interval: tuple[float, float]
    tpr: float
    bad: int
    good: int

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"AUC {self.auc:.2f} ({low:.2f} to {high:.2f}), finds {self.tpr:.0%} at 5 % false alarms; "
            f"{self.bad:,} bad, {self.good:,} good"
        )


def report(score: Tensor | np.ndarray, is_bad: Tensor | np.ndarray, *, suspicious: str = "high") -> Detection:
    """AUC and its interval, and TPR at 5 % FPR, of a score per row.

    The interval is the fifth of Newcombe: A with |A - AUC| = 1.96 sqrt(V(A)),
    V(A) = A (1 - A) (1 + (N/2 - 1) ((1 - A)/(2 - A) + A/(1 + A))) / (m n), which has a width even at AUC = 1.

    Args:
        score: (N,) finite numbers.
        is_bad: (N,) True where the row is poisoned, attacked, ...; both kinds must occur.
        suspicious: "high" if bad rows should score high, "low" if low.

    Raises:
        TypeError, ValueError: NaN, no booleans, unequal lengths, a single side, another side.

    Source: Newcombe 2006, Statistics in Medicine 25, 559-573.

    >>> print(report(np.arange(40), np.arange(40) >= 20))
    AUC 1.00 (0.90 to 1.00), finds 100% at 5 % false alarms; 20 bad, 20 good
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    if suspicious not in ("high", "low"):
        raise ValueError(f"suspicious must be 'high' or 'low', got {suspicious!r}")
    s, bad = (np.asarray(each) for each in (score, is_bad))
    if s.ndim != 1 or s.shape != bad.shape:
        raise ValueError(f"score and is_bad must both have shape (N,), got {s.shape} and {bad.shape}")
    if bad.dtype != np.bool_:
        raise TypeError(f"is_bad must be True or False for each row, got {bad.dtype}")
    if not np.isfinite(s).all():
        raise ValueError(f"score holds NaN or infinity in {(~np.isfinite(s)).sum()} of {len(s)} rows")
    if bad.all() or not bad.any():
        raise ValueError(
            "is_bad has one side only: a score is judged by how it tells bad rows from good ones"
        )
    s = s if suspicious == "high" else -s
    fpr, tpr, _ = roc_curve(bad, s, drop_intermediate=False)
    auc, m, n = float(roc_auc_score(bad, s)), int(bad.sum()), int((~bad).sum())
    return Detection(auc, _interval(auc, m, n), float(tpr[fpr <= 0.05].max()), m, n)


def _interval(auc: float, m: int, n: int) -> tuple[float, float]:
    from scipy.optimize import brentq

    def beyond(a: float) -> float:
        spread = 1 + ((m + n) / 2 - 1) * ((1 - a) / (2 - a) + a / (1 + a))
        return abs(a - auc) - 1.96 * math.sqrt(a * (1 - a) * spread / (m * n))

    inside = min(max(auc, 1e-12), 1 - 1e-12)  # at an end, the end itself would be a root
    low = 0.0 if auc <= 0 else brentq(beyond, 0.0, inside)
    high = 1.0 if auc >= 1 else brentq(beyond, inside, 1.0)
    return float(low), float(high)
