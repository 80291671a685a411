"""Pictures of tilted boundaries."""

import pytest
import torch
from matplotlib.quiver import Quiver

from sslwork import data, tilting
from sslwork.plots.tilting import between_digits, tilted


def test_tilted_draws_its_arrows():
    rows = torch.tensor([[1.0, 0], [3, 0.5], [-1, 0], [-3, 0.2]])
    i, j = tilting.centroids(rows, torch.tensor([1, 1, 0, 0]))
    z = tilting.nearest_centroid(i, j)
    c = tilting.tilt(z, torch.tensor([0.0, 1]), 45, (i + j) / 2)
    fig = tilted(rows, torch.tensor([1, 1, 0, 0]), c, z, arrows=3)
    drawn = next(each for each in fig.axes[0].collections if isinstance(each, Quiver))
    assert drawn.N == 3
    assert [drawn.U[0], drawn.V[0]] == pytest.approx((c.mirror(rows[:1]) - rows[:1])[0].tolist())
    with pytest.raises(ValueError, match="two columns"):
        tilted(torch.zeros(4, 3), torch.tensor([1, 1, 0, 0]), c, z)


def test_between_digits_shows_shares_that_end_at_one():
    digits = data.load("digits")
    rows, labels = digits.images[digits.labels < 2].flatten(1).float() / 255, digits.labels[digits.labels < 2]
    i, j = tilting.centroids(rows, labels)
    z = tilting.nearest_centroid(i, j)
    shares = tilting.components(rows).shares(z.normal)
    fig = between_digits(z, rows[0], shares, 8)
    assert fig.axes[-1].lines[0].get_ydata()[-1] == pytest.approx(1, abs=1e-4)
    with pytest.raises(ValueError, match="shape"):
        between_digits(z, rows[0], shares, 9)
