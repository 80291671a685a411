"""A ReLU network as a mixed-integer linear programme: every answer it can give within a box, and no other."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Block = slice  # of the variables
Affine = tuple[np.ndarray, np.ndarray]  # W (out, in), b (out,)


class Programme:
    """Variables in blocks with limits, rows `sum of matrix @ block <= bound`; solved by HiGHS, through scipy."""

    def __init__(self) -> None:
        self.size = 0
        self.limits: list[tuple[np.ndarray, np.ndarray, bool]] = []
        self.rows: list[tuple[np.ndarray, Sequence[tuple[Block, np.ndarray]]]] = []

    def block(self, low: Any, high: Any, *, whole: bool = False) -> Block:
        """New variables between `low` and `high`, (n,) each; whole numbers only if `whole`."""
        low, high = np.atleast_1d(low).astype(float), np.atleast_1d(high).astype(float)
        self.limits.append((low, high, whole))
        self.size += len(low)
        return slice(self.size - len(low), self.size)

    def at_most(self, bound: np.ndarray, *terms: tuple[Block, np.ndarray]) -> None:
        """The rows sum_t matrix_t @ v[block_t] <= bound; matrices (m, n_t), bound (m,)."""
        self.rows.append((np.atleast_1d(bound), terms))

    def minimise(self, block: Block, cost: np.ndarray) -> tuple[float, np.ndarray] | None:
        """The least cost @ v[block] with the variables v that reach it; None if the rows contradict each other.

        Raises:
            RuntimeError: the solver gave up.
        """
        from scipy.optimize import Bounds, LinearConstraint, milp

        A = np.zeros((sum(len(bound) for bound, _ in self.rows), self.size))
        at = 0
        for bound, terms in self.rows:
            for columns, matrix in terms:
                A[at : at + len(bound), columns] += matrix
            at += len(bound)
        c = np.zeros(self.size)
        c[block] = cost
        low, high = (np.concatenate([each[i] for each in self.limits]) for i in (0, 1))
        whole = np.concatenate([np.full(len(each[0]), each[2]) for each in self.limits])
        upper = np.concatenate([bound for bound, _ in self.rows])
        found = milp(
            c,
            integrality=whole,
            bounds=Bounds(low, high),
            constraints=LinearConstraint(A, ub=upper),
            options={"mip_rel_gap": 0},
        )
        if found.status == 2:
            return None
        if not found.success:
            raise RuntimeError(f"the solver gave up: {found.message}")
        return float(found.fun), found.x


def relu_network(
    hidden: Sequence[Affine], low: np.ndarray, high: np.ndarray
) -> tuple[Programme, Block, Block]:
    r"""The programme, its inputs, and the outputs of the last ReLU layer, for inputs from `low` to `high` (D,).

    With interval bounds l <= s <= u on what goes into a ReLU, a = max(s, 0) is

        a >= s,   a >= 0,   a <= s - l (1 - d),   a <= u d,   d in {0, 1}

    where d is known in advance if l >= 0 or u <= 0.

    Source: Tjeng, Xiao and Tedrake 2019, arXiv 1711.07356.
    """
    programme = Programme()
    inputs = a = programme.block(low, high)
    for W, b in hidden:
        c, r, one = (low + high) / 2, (high - low) / 2, np.eye(len(b))
        least, most = W @ c + b - np.abs(W) @ r, W @ c + b + np.abs(W) @ r  # l and u
        on, may = least >= 0, (most > 0) | (least >= 0)
        least, most = np.minimum(least, 0), np.maximum(most, 0)
        out, d = programme.block(np.zeros_like(most), most), programme.block(on, may, whole=True)
        programme.at_most(-b, (a, W), (out, -one))
        programme.at_most(b - least, (a, -W), (out, one), (d, -np.diag(least)))
        programme.at_most(np.zeros_like(most), (out, one), (d, -np.diag(most)))
        a, low, high = out, np.zeros_like(most), most
    return programme, inputs, a
