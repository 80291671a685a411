"""Rows of numbers as text, so that a record of a study can hold embeddings."""

import base64
import io

import numpy as np
import torch
from torch import Tensor

from sslwork import checks


def pack(rows: Tensor) -> str:
    """(N, D) floating point -> text, in half precision: about three digits stay, at 2.7 letters per number.

    Raises:
        TypeError, ValueError: not floating point, another shape, NaN, or beyond 65504.

    >>> unpack(pack(torch.tensor([[0.5, -0.25]])))
    tensor([[ 0.5000, -0.2500]])
    """
    checks.embeddings(rows, "rows", rows=1)
    half = checks.embeddings(rows.detach().cpu().half(), "rows in half precision", rows=1)
    buffer = io.BytesIO()
    np.save(buffer, half.numpy(), allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode()


def unpack(text: str) -> Tensor:
    """What `pack` wrote, (N, D) float32."""
    return torch.from_numpy(np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)).float()
