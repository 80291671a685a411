"""Clusters of rows, the same for the same seed."""

import torch
from torch import Tensor

from sslwork import checks


def kmeans(rows: Tensor, k: int, *, seed: int = 0) -> Tensor:
    """The cluster of each row by mini-batch k-means: (N, D) -> (N,) whole numbers in 0..k - 1.

    Best of three starts from k-means++, up to 100 passes, until the centres move by less than 1e-5.

    Args:
        rows: (N, D) features; scale them to length one first if angles shall count.
        k: clusters, 1..N. One left without rows counts nowhere.
        seed: of the starts and of the mini-batches.

    Raises:
        TypeError, ValueError: not floating point, NaN, more clusters than rows.

    Source: Sculley, "Web-scale k-means clustering", WWW 2010; scikit-learn's MiniBatchKMeans.

    >>> kmeans(torch.tensor([[0.0], [9.0], [0.1]]), 2).unique().tolist()
    [0, 1]
    """
    from sklearn.cluster import MiniBatchKMeans

    checks.embeddings(rows, "rows", rows=1)
    if not 1 <= k <= len(rows):
        raise ValueError(f"k must lie in 1..{len(rows)}, the rows there are; got {k}")
    model = MiniBatchKMeans(k, n_init=3, max_iter=100, tol=1e-5, random_state=seed)
    return torch.from_numpy(model.fit_predict(rows.detach().cpu().numpy())).long()
