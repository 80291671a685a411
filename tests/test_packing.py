"""Embeddings as text."""

import json

import pytest
import torch

from sslwork.packing import pack, unpack
from sslwork.seeds import generator


def test_rows_come_back_to_three_digits():
    rows = torch.nn.functional.normalize(torch.randn(50, 32, generator=generator(0)), dim=1)
    back = unpack(json.loads(json.dumps(pack(rows))))
    assert back.dtype == torch.float32 and torch.allclose(back, rows, atol=3e-4)
    assert len(pack(rows)) < 3 * rows.numel()


def test_bad_rows_are_named():
    with pytest.raises(ValueError, match="rows holds NaN"):
        pack(torch.full((2, 3), torch.nan))
    with pytest.raises(ValueError, match="half precision holds NaN or infinity"):
        pack(torch.full((2, 3), 1e6))
