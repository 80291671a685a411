"""Figures of the neighbourhood and of the verdicts: drawn from what they are made for, bad input refused."""

import pytest
import torch

from sslwork.plots.neighbourhood import neighbourhood
from sslwork.plots.verdicts import verdicts
from sslwork.seeds import generator


def test_a_neighbourhood_shows_both_pictures_and_both_sets():
    draw = generator(0)
    stacks = torch.rand(2, 4, 1, 8, 8, generator=draw)
    s, q = torch.rand(2, 2, 3, generator=draw)
    scores = [torch.rand(30, generator=draw), torch.rand(9, generator=draw)]
    sets = [torch.rand(len(each), 1, 8, 8, generator=draw) for each in scores]
    fig = neighbourhood(list(stacks), list(s), list(q), scores, 0.4, sets=sets)
    titles = " ".join(ax.get_title(loc="left") for ax in fig.axes)
    assert f"rejected of clean: {int((scores[0] < 0.4).sum())} of 30" in titles
    with pytest.raises(ValueError, match="no attack succeeded"):
        neighbourhood(list(stacks), list(s), list(q), [scores[0], scores[0][:0]], 0.4)
    with pytest.raises(ValueError, match="give two of each"):
        neighbourhood(list(stacks[:1]), list(s), list(q), scores, 0.4)


def test_verdicts_draw_the_evidence_of_each_copy():
    draw = generator(0)
    scores = [torch.rand(20, 5, generator=draw) for _ in range(2)]
    fig = verdicts(scores, 1, 2, votes=4)
    heights = [bar.get_height() for bar in fig.axes[0].patches]
    assert heights == pytest.approx(scores[0][:4].mean(0).tolist())
    with pytest.raises(ValueError, match="no attack succeeded"):
        verdicts([scores[0][:0], scores[1]], 1, 2)
    with pytest.raises(ValueError, match=r"must lie in 0..4"):
        verdicts(scores, 5, 2)
