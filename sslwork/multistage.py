"""Multistage contrastive learning: each stage learns to tell apart what all stages before it hold for alike."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks, train
from sslwork.batches import WithinCluster
from sslwork.clustering import kmeans
from sslwork.data.pictures import PictureSet
from sslwork.embedding import embed
from sslwork.encoders import Encoder
from sslwork.methods import Method
from sslwork.schedule import batch_rows


def joint_labels(before: Tensor, labels: Tensor, k: int) -> Tensor:
    """A number for each tuple of labels so far: c_(t+1) = k c_t + a_t. Cells of c_(t+1) lie within cells of c_t.

    Args:
        before: (N,) c_t, zeros before the first stage.
        labels: (N,) a_t in 0..k - 1, the clusters of the stage just trained.
        k: clusters per stage, so that there are at most k^(t + 1) cells.

    Raises:
        ValueError: a label of k or more, which would mix up tuples.

    >>> joint_labels(torch.tensor([0, 0, 1]), torch.tensor([0, 4, 0]), k=5).tolist()
    [0, 4, 5]
    """
    before, labels = checks.labels(before, len(labels), "before"), checks.labels(labels, len(labels))
    if len(labels) and labels.max() >= k:
        raise ValueError(f"labels must lie in 0..{k - 1} for k = {k}, got {int(labels.max())}")
    return before * k + labels


def side_by_side(rows: Sequence[Tensor]) -> Tensor:
    """Rows of several encoders at equal weight: [unit(y_0), ..., unit(y_(T-1))], (N, D_t) each -> (N, sum of D_t).

    A row has length sqrt(T); the cosine of two rows is the mean of the encoders' cosines.
    """
    return torch.cat([F.normalize(checks.embeddings(y, "rows", rows=1), dim=1) for y in rows], dim=1)


class Stages(nn.Module):
    """Several encoders as one, their outputs `side_by_side`: what multistage training leaves, or any ensemble.

    `cells[t]` (N,) are the joint labels within which stage t was trained; the last entry has what it found, too.
    """

    def __init__(self, encoders: Iterable[Encoder], cells: Sequence[Tensor] = ()) -> None:
        super().__init__()
        self.encoders, self.cells = nn.ModuleList(encoders), list(cells)

    def forward(self, images: Tensor) -> Tensor:
        return side_by_side([encoder(images) for encoder in self.encoders])


def fit(
    method: Callable[[int], Method],
    pictures: PictureSet,
    *,
    stages: int = 3,
    k: int = 10,
    seed: int = 0,
    **training: Any,
) -> Stages:
    """Train one encoder per stage, stage t in batches from one cell of the clusters of all stages before it.

    What tells the cells apart is the same for the whole batch: it no longer tells the positive from the negatives, and
    the loss has to look for something else. Stage 0 is the method as it is, and so is every stage if k is 1.

    After each stage the pictures, not their views, are embedded by the encoder, scaled to length one and clustered.
    Cells smaller than a batch are left out of training.

    Args:
        method: of the number of the stage; makes a fresh one, with its own initial weights.
        pictures: their labels are never looked at.
        stages: T >= 1.
        k: clusters per stage.
        seed: of batches, views and clusters.
        training: what else `train.fit` takes, for every stage: views, steps, batch_size, lr, ...

    Raises:
        ValueError: no stage, or no cell that fills a batch: fewer clusters, or smaller batches, will do.

    Source: Zhang, Lan, Qu, Cheng, Feng, Hooi 2024, arXiv 2402.11816. (The authors' code reads the clusters of the last
    stage only from the third stage on; this follows the paper.)
    """
    if stages < 1:
        raise ValueError(f"stages must be at least 1, got {stages}")
    encoders, cells = [], [torch.zeros(len(pictures), dtype=torch.long)]
    for stage in range(stages):
        batches = WithinCluster(cells[-1]) if stage else batch_rows
        encoder = train.fit(method(stage), pictures, batches=batches, seed=seed, **training).method.encoder
        found = kmeans(F.normalize(embed(encoder, pictures, progress=False), dim=1), k, seed=seed)
        encoders.append(encoder)
        cells.append(joint_labels(cells[-1], found, k))
    return Stages(encoders, cells)
