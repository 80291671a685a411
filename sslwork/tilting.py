"""How far a linear boundary is tilted against the data, and what that costs: strength of adversarial examples as an angle.

Source: Tanay and Griffin 2016, arXiv 1608.07690.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sslwork import checks


@dataclass(frozen=True)
class Boundary:
    """The linear classifier sign(c . x + c_0), with c of length one: class I where the score is positive.

    Args:
        normal: c (D,), of any length above 0: it is scaled to one, and the offset with it.
        offset: c_0.

    Raises:
        ValueError: a normal that is zero, not finite, or not a row.
    """

    normal: Tensor
    offset: float

    def __post_init__(self) -> None:
        length = float(self.normal.norm())
        if self.normal.ndim != 1 or not 0 < length < math.inf or not math.isfinite(self.offset):
            raise ValueError(
                f"normal must be a finite row (D,) other than 0 and offset finite; got shape {tuple(self.normal.shape)}, "
                f"length {length:.3g}, offset {self.offset:.3g}"
            )
        object.__setattr__(self, "normal", self.normal / length)
        object.__setattr__(self, "offset", float(self.offset) / length)

    @classmethod
    def through(cls, point: Tensor, normal: Tensor) -> Boundary:
        """The boundary through `point` (D,) with this normal (D,)."""
        return cls(normal, -float(normal @ point))

    def score(self, x: Tensor) -> Tensor:
        """c . x + c_0, (N, D) -> (N,): the l_2 distance, with a sign."""
        return x @ self.normal + self.offset

    def distance(self, x: Tensor, norm: str = "l2") -> Tensor:
        """The least perturbation that changes the answer, (N, D) -> (N,): |c . x + c_0|, for l_inf over ||c||_1.

        Without limits on pixel values: in the box [0, 1] the least perturbation is as long or longer.
        """
        dual = {"l2": torch.tensor(1.0), "linf": self.normal.abs().sum()}
        if norm not in dual:
            raise ValueError(f"norm must be one of {', '.join(dual)}; got {norm!r}")
        return self.score(x).abs() / dual[norm].to(x)

    def mirror(self, x: Tensor) -> Tensor:
        """m_C(x) = x - 2 (c . x + c_0) c, (N, D) -> (N, D): the other side's point at the same distance."""
        return x - 2 * self.score(x)[:, None] * self.normal


def centroids(rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The means i and j of the rows (N, D) labelled 1 (class I, the positive side) and 0 (class J).

    Raises:
        TypeError, ValueError: NaN, labels that do not fit, other labels or one class alone.
    """
    checks.embeddings(rows, "rows")
    labels = checks.labels(labels, len(rows))
    if set(labels.tolist()) != {0, 1}:
        raise ValueError(
            f"two classes are wanted, 1 for I and 0 for J; got labels {sorted(set(labels.tolist()))}"
        )
    return rows[labels == 1].mean(0), rows[labels == 0].mean(0)


def nearest_centroid(i: Tensor, j: Tensor) -> Boundary:
    """Z: z = (i - j) / ||i - j||, through the midpoint of the means i and j, (D,)."""
    return Boundary.through((i + j) / 2, i - j)


def deviation_angle(c: Boundary, z: Boundary) -> float:
    """d = arccos(c . z) in degrees: 0 for the nearest centroid classifier itself, towards 90 the more it is tilted.

    Raises:
        ValueError: 90 degrees or more: I and J are swapped in one of the two.
    """
    cosine = float(c.normal @ z.normal)
    if cosine <= 0:
        raise ValueError(
            f"the boundaries look apart (cosine {cosine:.3g}): class I must be on the positive side of both"
        )
    away = float((c.normal - cosine * z.normal).norm())  # atan2 is exact where arccos of nearly 1 is not
    return math.degrees(math.atan2(away, cosine))


def adversarial_strength(c: Boundary, i: Tensor, j: Tensor) -> float:
    r"""s_C = (||i - j|| / 2) / a_C, a_C the mean distance of the two means (D,) to the boundary: 1 for Z, or more.

    Wherever the boundary passes between the means, not only midway, s_C = 1 / cos d. Where it leaves both on one side,
    distances count without their sign, and the offset matters too.

    Raises:
        ValueError: both means on the boundary, or not finite.

    >>> c = Boundary(torch.tensor([0.5, 3**0.5 / 2]), 0.0)  # tilted by 60 degrees
    >>> round(adversarial_strength(c, torch.tensor([2.0, 0]), torch.tensor([-2.0, 0])), 4)
    2.0
    """
    strength = float((i - j).norm() / 2 / c.distance(torch.stack([i, j])).mean())
    if not math.isfinite(strength):
        raise ValueError(
            "i and j must be finite and not both on the boundary: no distance to compare with is left"
        )
    return strength


def tilt(z: Boundary, towards: Tensor, degrees: float, point: Tensor) -> Boundary:
    """c(theta) = cos(theta) z + sin(theta) u through `point` (D,), where u is `towards` (D,) less its part along z.

    Args:
        z: what is tilted.
        towards: any direction other than z's own.
        degrees: theta, above -90 and below 90.
        point: what stays on the boundary, the midpoint of the means, say.

    Raises:
        ValueError: degrees out of range, a direction along z's own.
    """
    if not -90 < degrees < 90:
        raise ValueError(f"degrees must lie between -90 and 90, got {degrees}")
    u = towards - (towards @ z.normal) * z.normal
    if float(u.norm()) <= 1e-6 * float(towards.norm()):
        raise ValueError("towards points along the normal itself: there is nothing to tilt to")
    theta = math.radians(degrees)
    return Boundary.through(point, math.cos(theta) * z.normal + math.sin(theta) * u / u.norm())


class Components(NamedTuple):
    """Principal components: directions (D, D), one a row, with falling variances (D,)."""

    variances: Tensor
    directions: Tensor

    def shares(self, direction: Tensor) -> Tensor:
        """What share of the squared length of a direction (D,) lies along each component, (D,)."""
        return (self.directions @ direction).square() / direction.square().sum()


def components(rows: Tensor) -> Components:
    """All D principal components of the rows (N, D), less their mean; those of no variance are in it, and last.

    Raises:
        TypeError, ValueError: NaN, fewer than two rows or two columns.
    """
    if checks.embeddings(rows, "rows").shape[1] < 2:
        raise ValueError("rows has one column: there is one direction, and nothing to find")
    variances, directions = torch.linalg.eigh(rows.T.cov())
    return Components(variances.flip(0).clamp(min=0), directions.flip(1).T)
