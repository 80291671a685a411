"""How far a trigger alone brings other pictures to the target class, in the representation."""

import torch.nn.functional as F
from torch import Tensor

from sslwork import checks


def entanglement(triggered: Tensor, clean: Tensor, target: Tensor) -> float:
    """mean cos(f(T(x)), f(x_t)) - mean cos(f(x), f(x_t)) over all pairs, in [-2, 2]; 0 for a trigger that does nothing.

    Args:
        triggered, clean: rows (N, D) of the same pictures x, none of class t, with the trigger and without.
        target: rows (M, D) of clean pictures x_t of class t.

    Raises:
        TypeError, ValueError: NaN, other widths, numbers of rows that differ.

    Source: Li, Pang, Xi, Du, Ji, Yao, Wang 2023, arXiv 2210.07346.
    """
    checks.pair(triggered, clean, ("triggered", "clean"), rows=1)
    checks.embeddings(target, "target", rows=1)
    if target.shape[1] != clean.shape[1]:
        raise ValueError(f"target must be {clean.shape[1]} wide, as the others; got {target.shape[1]}")
    # The mean of all cosines is the product of the two mean unit rows.
    marked, plain, there = (F.normalize(rows.double(), dim=1).mean(0) for rows in (triggered, clean, target))
    return float((marked - plain) @ there)
