"""Bad input, said plainly: what was wrong, which argument, what to do."""

import torch
from torch import Tensor


def embeddings(z: Tensor, name: str, *, rows: int = 2) -> Tensor:
    """`z` itself if it is a finite floating (N, D) tensor with at least `rows` rows; else a clear error."""
    if not isinstance(z, Tensor):
        raise TypeError(
            f"{name} must be a torch tensor of shape (N, D), got {type(z).__name__}; use torch.as_tensor"
        )
    if z.ndim != 2:
        raise ValueError(
            f"{name} must have shape (N, D), got {tuple(z.shape)}; flatten pictures with .flatten(1)"
        )
    if not z.is_floating_point():
        raise TypeError(
            f"{name} must hold floating-point numbers, got {z.dtype}; convert it with {name}.float()"
        )
    if z.shape[1] == 0:
        raise ValueError(f"{name} has no columns: shape {tuple(z.shape)}")
    if len(z) < rows:
        raise ValueError(
            f"{name} has {len(z)} row(s), at least {rows} are needed: there is nothing to compare with"
        )
    if torch.isfinite(z.sum()):  # a tenth of the cost of looking at each; a sum may overflow, so look again
        return z
    bad = (~torch.isfinite(z).all(dim=1)).nonzero().flatten()
    if len(bad):
        raise ValueError(
            f"{name} holds NaN or infinity in {len(bad)} of {len(z)} rows, first in row {int(bad[0])}; "
            "check the pictures, or lower the learning rate"
        )
    return z


def pair(z1: Tensor, z2: Tensor, names: tuple[str, str] = ("z1", "z2"), *, rows: int = 2) -> None:
    """Check two views of one batch: both `embeddings`, of one shape."""
    embeddings(z1, names[0], rows=rows)
    embeddings(z2, names[1], rows=rows)
    if z1.shape != z2.shape:
        raise ValueError(
            f"{names[0]} and {names[1]} must be two views of one batch, of one shape; "
            f"got {tuple(z1.shape)} and {tuple(z2.shape)}"
        )


def labels(y: Tensor | None, rows: int, name: str = "labels") -> Tensor:
    """`y` as int64 if it holds one whole number per row; else a clear error."""
    if y is None:
        raise ValueError(f"{name} is None: these pictures have no labels to measure with")
    y = torch.as_tensor(y)
    if y.shape != (rows,):
        raise ValueError(f"{name} must have one entry per row: {rows} wanted, got shape {tuple(y.shape)}")
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise TypeError(f"{name} must be whole numbers (class indices), got {y.dtype}")
    if len(y) and y.min() < 0:
        raise ValueError(f"{name} must be class indices from 0 on, got {int(y.min())}")
    return y.long()


def positive(value: float, name: str) -> float:
    """`value` if it is a finite number above zero; else a clear error."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a finite number above 0, got {value}")
    return value


def not_negative(**values: float) -> None:
    """A clear error unless each of these is a finite number, 0 or above.

    >>> not_negative(variance=25.0, covariance=-1.0)
    Traceback (most recent call last):
    ValueError: covariance must be a finite number, 0 or above, got -1.0
    """
    for name, value in values.items():
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name} must be a finite number, 0 or above, got {value}")
