"""Where embeddings lie on the sphere: alignment, uniformity, tolerance. Rows are scaled to length one inside."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.measures.moments import Moments, moments
from sslwork.measures.stream import Rows


def _unit(z: Tensor) -> Tensor:
    return F.normalize(z.double(), dim=1, eps=1e-12)


def alignment(z1: Tensor, z2: Tensor, *, alpha: float = 2) -> float:
    """How far the two views of a picture lie apart: mean_i |u_i - v_i|^alpha, 0 is best.

    Args:
        z1, z2: two views, (N, D); row i of one belongs to row i of the other.
        alpha: power of the distance, > 0.

    Raises:
        TypeError, ValueError: not floating point, unequal shapes, NaN.

    Source: Wang & Isola 2020, arXiv 2005.10242.
    """
    checks.pair(z1, z2, rows=1)
    checks.positive(alpha, "alpha")
    return float((_unit(z1) - _unit(z2)).norm(dim=1).pow(alpha).mean())


def uniformity(z: Tensor, *, t: float = 2) -> float:
    """How evenly rows cover the sphere: log mean_{i<j} exp(-t |u_i - u_j|^2); 0 when collapsed, about -2t when even.

    Args:
        z: embeddings (N, D), N >= 2; cost N^2 D.
        t: > 0, sharpness of the Gaussian.

    Raises:
        TypeError, ValueError: not floating point, fewer than two rows, NaN.

    Source: Wang & Isola 2020, arXiv 2005.10242.
    """
    checks.embeddings(z, "z")
    checks.positive(t, "t")
    distance = torch.pdist(_unit(z))
    return float((-t * distance.square()).logsumexp(0)) - math.log(len(distance))


def tolerance(z: Rows | Moments, labels: Tensor | None = None) -> float:
    """How close rows of one class stay: the mean cosine over pairs i < j of one class (self pairs excluded).

    Args:
        z: embeddings (N, D), or `Moments` that saw labels.
        labels: (N,) class indices, unless the moments know them.

    Returns:
        A number in [-1, 1]; NaN where no class has two members, for then it is undefined.

    Raises:
        TypeError, ValueError: not floating point, NaN, a label list of the wrong length.

    Source: Wang & Liu 2021, arXiv 2012.09740 (they average over all pairs; here over the pairs of one class).
    """
    if isinstance(z, Tensor | np.ndarray):
        labels = checks.labels(labels, len(z))
    m = moments(z, labels)
    if not m.labelled:
        checks.labels(None, m.n)
    pairs = int((m.counts * (m.counts - 1)).sum())
    own = int(m.nonzero)  # each row with itself; a row of zeros has no direction
    return float(m.units.square().sum() - own) / pairs if pairs else float("nan")
