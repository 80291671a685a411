"""Mixed Barlow Twins: the embedding of mixed pictures is to be the mix of the embeddings."""

import torch
from torch import Tensor

from sslwork import checks
from sslwork.losses import columns


def mixed_barlow_twins(
    z1: Tensor, z2: Tensor, z_mixed: Tensor, *, mix: float | Tensor, permutation: Tensor, off_diagonal: float,
    regularisation: float,
) -> Tensor:  # fmt: skip
    r"""Barlow Twins, and beside it a mixed picture whose correlations are to be the mix of those of its parts.

    With a, b, m the columns of z1, z2, z_mixed, standardised (unbiased), and t = mix a + (1 - mix) b[permutation]:

        L     = L_BT + regularisation * off_diagonal * L_reg
        L_BT  = sum_i (1 - C_ii)^2 + off_diagonal * sum_{i != j} C_ij^2,   C = a' b / N
        L_reg = sum_{x in a, b} |m' x / N - t' x / N|^2    (squared entries, summed)

    Gradients go into the target t as well. Because of the unbiased deviation equal views have C_ii = (N-1)/N, and
    L_BT stays above D / N^2.

    Args:
        z1, z2: two views of one batch, (N, D) floating point, N >= 2.
        z_mixed: (N, D), embeddings of mix * pictures of view 1 + (1 - mix) * pictures of view 2, permuted.
        mix: one number in [0, 1] for the batch.
        permutation: (N,) whole numbers, each of 0..N-1 once; row i is mixed with row permutation[i] of view 2.
        off_diagonal: >= 0; 8 / D in the paper, with D = 1024.
        regularisation: >= 0; 4 in the paper.

    Raises:
        TypeError, ValueError: not floating point, unequal shapes, NaN, mix outside [0, 1], no permutation.

    Source: Bandara, De Melo, Patel 2023, arXiv 2312.02151. (Their code for ImageNet halves L_reg, and has b' b where
    the derivation gives a' b.)

    >>> z, swap = torch.tensor([[1.0], [-1.0]]), torch.tensor([1, 0])
    >>> options = dict(permutation=swap, off_diagonal=1.0, regularisation=1.0)
    >>> [f"{mixed_barlow_twins(z, z, z, mix=mix, **options):.3f}" for mix in (0.0, 0.5, 1.0)]
    ['2.250', '0.750', '0.250']
    """
    checks.pair(z1, z2)
    checks.pair(z1, z_mixed, ("z1", "z_mixed"))
    checks.not_negative(off_diagonal=off_diagonal, regularisation=regularisation)
    mix = _share(mix)
    order = _permutation(permutation, len(z1)).to(z2.device)
    a, b, m = (columns.standardise(z, unbiased=True) for z in (z1, z2, z_mixed))  # (N, D)
    c = columns.mean_product(a, b)  # (D, D)
    residual = m - mix * a - (1 - mix) * b[order]  # both correlations are linear in it
    regulariser = sum(columns.mean_product(residual, x).square().sum() for x in (a, b))
    return columns.invariance(c) + off_diagonal * (columns.redundancy(c) + regularisation * regulariser)


def _share(mix: float | Tensor) -> float:
    if torch.as_tensor(mix).numel() != 1:
        shape = tuple(torch.as_tensor(mix).shape)
        raise ValueError(f"mix must be one number for the whole batch, got shape {shape}")
    if not 0 <= float(mix) <= 1:
        raise ValueError(f"mix must lie in [0, 1], got {float(mix)}")
    return float(mix)


def _permutation(order: Tensor, rows: int) -> Tensor:
    order = torch.as_tensor(order)
    if order.is_floating_point() or order.is_complex() or order.dtype == torch.bool:
        raise TypeError(f"permutation must hold whole numbers, got {order.dtype}")
    if order.shape != (rows,):
        raise ValueError(
            f"permutation must have one entry per row: {rows} wanted, got shape {tuple(order.shape)}"
        )
    order = order.long()
    if not torch.equal(order.sort().values, torch.arange(rows, device=order.device)):
        raise ValueError(f"permutation must hold each of 0..{rows - 1} once; torch.randperm makes one")
    return order
