"""The picture of a universal perturbation."""

import pytest
import torch

from sslwork.plots.style import png
from sslwork.plots.universal import universal
from sslwork.seeds import generator


def test_it_draws_and_refuses_what_does_not_belong_together():
    x = torch.rand(4, 1, 8, 8, generator=generator(0))
    rows = torch.rand(9, 5, generator=generator(1))
    delta = 0.1 * (x[:1] - 0.5)
    fig = universal(delta, 3, x, x, rows, rows.flip(0), {"digit, k-NN": 31.0}, torch.arange(9))
    assert len(fig.axes) == 5 and png(fig).startswith(b"\x89PNG")
    assert universal(torch.zeros(1, 3, 8, 8), 0, x, x, rows, rows, {"a": 0.0})  # nothing moves
    with pytest.raises(ValueError, match="before and after"):
        universal(delta, 3, x, x[:2], rows, rows, {})
