"""Spectral signatures: poisoned rows lie far out along the first principal axis of their class."""

import torch
from torch import Tensor

from sslwork import checks


def spectral_signature(features: Tensor, labels: Tensor) -> Tensor:
    r"""Score of each row, large = suspicious: s_i = ((r_i - mean_c) . v_c)^2, (N,) float64.

    v_c is the top right singular vector of the *centred* rows of class c. (The raw rows projected on it would score the
    place of the class mean.)

    Args:
        features: (N, D), of the data set as the model was trained on it.
        labels: (N,), the labels that were trained on; clusters of the features where there were none.

    Raises:
        TypeError, ValueError: NaN, labels that do not fit.

    Source: Tran, Li, Madry 2018, arXiv 1811.00636: remove the top 1.5 times the poison expected.

    >>> spectral_signature(torch.tensor([[1.0, 0], [1, 0], [1, 0], [5, 0]]), torch.zeros(4).long()).tolist()
    [1.0, 1.0, 1.0, 9.0]
    """
    y = checks.labels(labels, len(checks.embeddings(features, "features"))).to(features.device)
    scores = features.new_zeros(len(features), dtype=torch.double)
    for c in y.unique():
        rows = features[y == c].double()
        rows = rows - rows.mean(0)
        v = torch.linalg.svd(rows, full_matrices=False).Vh[0]  # (D,)
        scores[y == c] = (rows @ v).square()
    return scores
