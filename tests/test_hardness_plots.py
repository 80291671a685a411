"""Figures of hard negatives: drawn from what was measured, and bad input refused."""

import math

import pytest
import torch

from sslwork.losses import mochi_negatives
from sslwork.measures import relative_penalty
from sslwork.plots.hardness import hardness
from sslwork.plots.style import png
from sslwork.plots.synthetic import synthetic
from sslwork.seeds import generator


def test_one_anchor_over_all_temperatures():
    negatives = torch.linspace(-0.3, 0.9, 20)
    fig = hardness(0.8, negatives)
    shares, entropy, limits = fig.axes
    drawn = torch.tensor(shares.lines[0].get_ydata()) / 20
    assert torch.allclose(drawn, relative_penalty(negatives.double().flip(0), temperature=0.05))
    assert entropy.lines[0].get_ydata()[-1] == pytest.approx(math.log(20), abs=1e-3)
    hardest, even, loss = (line.get_ydata() for line in limits.lines)
    assert loss[0] == pytest.approx(hardest[0], abs=1e-2) and loss[-1] == pytest.approx(even[-1], abs=1e-2)
    assert len(png(fig)) > 5000
    with pytest.raises(ValueError, match=r"two cosines or more, \(M,\); got \(1, 3\)"):
        hardness(0.8, torch.ones(1, 3))


def test_synthetic_negatives_take_their_share():
    circle = torch.randn(12, 2, generator=generator(0), dtype=torch.double)
    query, key, queue = torch.nn.functional.normalize(circle, dim=1).split([1, 1, 10])
    made = mochi_negatives(query, queue, n_hard=4, n_mixed=3, n_query_mixed=2, generator=generator(1))[0]
    kinds = {"first kind": made[:3], "second kind": made[3:]}
    fig = synthetic(query, key, queue, kinds, temperature=0.2, n_hard=4)
    widths = [bar.get_width() for bar in fig.axes[1].patches]
    assert len(widths) == 1 + 10 + 3 + 2 and sum(widths) == pytest.approx(100)
    own = torch.cat([key, queue, made]) @ query[0] / 0.2
    assert widths[0] == pytest.approx(100 * float(own.softmax(0)[0]))
    assert len(png(fig)) > 5000
    with pytest.raises(ValueError, match="points of the plane"):
        synthetic(query, key, queue[:, :1], kinds, temperature=0.2, n_hard=4)
