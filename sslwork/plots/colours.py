"""What a point's colour means: one of a few kinds, or a number on a scale."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sslwork.plots.style import PALETTE

SHAPES = 10  # told apart on a map; after so many they begin anew


class Colouring:
    """Colours for one value per point.

    Text, truth values and whole numbers are kinds: `names` lists them, `codes` (N,) index it, `palette` has a colour
    per name and `symbols` (N,) a symbol number, which tells the ninth kind from the first. Floating point is a scale:
    `names` is empty and `codes` are the numbers themselves.
    """

    hues = PALETTE

    def __init__(
        self, values: Sequence[Any] | np.ndarray | torch.Tensor, rows: int, name: str = "colour"
    ) -> None:
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
        if array.shape != (rows,):
            raise ValueError(f"{name} must have one entry per point: {rows} wanted, got shape {array.shape}")
        self.names: list[str] = []
        self.palette: list[str] = []
        self.codes: np.ndarray
        if np.issubdtype(array.dtype, np.floating):
            self.codes, self.symbols = array.astype(np.float32), np.zeros(rows, int)
            return
        # In order of first appearance: the order of the data set says more than the alphabet.
        kinds, first, codes = np.unique(array, return_index=True, return_inverse=True)
        order = np.argsort(first) if array.dtype.kind in "UO" else np.arange(len(kinds))
        self.names = [str(kind) for kind in kinds[order]]
        self.codes = np.argsort(order)[codes]
        self.palette = [self.hues[i % len(self.hues)] for i in range(len(self.names))]
        self.symbols = self.codes // len(self.hues) % SHAPES
