"""Pictures of proofs."""

import pytest
import torch
from torch import nn

from sslwork import verification
from sslwork.plots.verification import cells, hull, radii
from sslwork.seeds import generator, seeded

with seeded(0):
    NET = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 2)).double()
ROWS = torch.randn(30, 2, generator=generator(0), dtype=torch.double)
LABELS = NET(ROWS).argmax(1)


def test_cells_are_drawn_one_by_one():
    x = ROWS[0]
    found = verification.prove(NET, x - 0.2, x + 0.2, int(LABELS[0]), smallest=0.05)
    fig = cells(NET, ROWS, LABELS, x, found)
    drawn = sum(len(each.get_paths()) for each in fig.axes[0].collections[1:])
    assert drawn >= sum(len(lo) for lo, _ in found.cells.values())
    assert found.outcome in fig.axes[0].get_title()


def test_radii_and_hulls_are_drawn_and_bad_input_refused():
    r = torch.rand(30, generator=generator(1))
    assert len(radii(NET, ROWS, LABELS, ROWS, {"a": r, "b": r, "c": r}).axes[1].lines) == 3
    with pytest.raises(ValueError, match="three radii"):
        radii(NET, ROWS, LABELS, ROWS, {"a": r})
    fig = hull(
        {"input": (ROWS, ROWS.amin(0), ROWS.amax(0)), "logits": (NET(ROWS).detach(), *[torch.zeros(2)] * 2)}
    )
    assert [ax.get_title() for ax in fig.axes] == ["input", "logits"]
