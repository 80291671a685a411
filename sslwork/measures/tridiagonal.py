"""A symmetric matrix made tridiagonal once, so that many questions about it are cheap."""

import numpy as np
import torch
from torch import Tensor


class Tridiagonal:
    """S = Q T Q' with T tridiagonal and the first column of Q along a vector of your choice.

    Half the work of an eigen-decomposition and less, yet T answers for S + c v v' (v the chosen direction: only the
    corner of T changes) and for S + a I (only its diagonal), by their eigenvalues and by solving with them.

    Args:
        s: symmetric, (D, D) float64.
        first: (D,), the direction v.
    """

    def __init__(self, s: Tensor, first: Tensor) -> None:
        from scipy.linalg import lapack

        a, v = s.cpu().clone(), first.to("cpu", s.dtype)
        if length := v.norm():
            v = v / length
            v[0] += torch.copysign(torch.ones_like(v[0]), v[0])  # H = I - 2 v v' / v'v turns `first` onto e_1
        else:
            v[0] = 1  # any direction will do
        v = v * (2**0.5 / v.norm())  # H = I - v v'
        w = a @ v
        w -= v * (v @ w) / 2
        a.addr_(v, w, alpha=-1).addr_(w, v, alpha=-1)  # H S H
        size = int(lapack.dsytrd_lwork(len(a), lower=1)[0])
        # The transpose is in LAPACK's order, so nothing is copied; and s is symmetric.
        self._q, self.diagonal, self.off, self._tau, _ = lapack.dsytrd(
            a.numpy().T, lower=1, lwork=size, overwrite_a=1
        )
        self._v = v

    def eigenvalues(self, corner: float = 0.0) -> Tensor:
        """Of S + corner v v', smallest first, (D,) float64."""
        from scipy.linalg import eigvalsh_tridiagonal

        diagonal = self.diagonal.copy()
        diagonal[0] += corner
        if len(diagonal) == 1:
            return torch.from_numpy(diagonal)
        return torch.from_numpy(eigvalsh_tridiagonal(diagonal, self.off, lapack_driver="sterf"))

    def solve(self, shift: float, b: Tensor) -> Tensor:
        """(T + shift I)^-1 b for b (D, C) in the basis of T; S + shift I must be positive definite."""
        from scipy.linalg import solveh_banded

        if len(b) == 1:
            return b / (self.diagonal[0] + shift)
        bands = np.stack([self.diagonal + shift, np.append(self.off, 0.0)])
        return torch.from_numpy(solveh_banded(bands, b.numpy(), lower=True))

    def times(self, b: Tensor) -> Tensor:
        """T b for b (D, C)."""
        diagonal, off = torch.from_numpy(self.diagonal)[:, None], torch.from_numpy(self.off)[:, None]
        product = diagonal * b
        product[1:] += off * b[:-1]
        product[:-1] += off * b[1:]
        return product

    def into(self, x: Tensor) -> Tensor:
        """Q' x for x (D, C)."""
        x, v = x.cpu(), self._v
        return self._reflect(x - torch.outer(v, v @ x), "T")

    def back(self, x: Tensor) -> Tensor:
        """Q x for x (D, C)."""
        x, v = self._reflect(x, "N"), self._v
        return x - torch.outer(v, v @ x)

    def _reflect(self, x: Tensor, transpose: str) -> Tensor:
        from scipy.linalg import lapack

        if len(x) > 1:  # the reflections leave the first row alone
            c = np.asfortranarray(x[1:].numpy())
            moved = lapack.dormqr("L", transpose, self._q[1:, :-1], self._tau, c, 64 * c.shape[1])[0]
            x = torch.cat([x[:1], torch.from_numpy(moved)])
        return x
