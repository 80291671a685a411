"""Activation clustering: a poisoned class falls into two heaps, and the small one is the poison."""

import torch
from torch import Tensor

from sslwork import checks


def activation_clustering(features: Tensor, labels: Tensor, *, components: int = 10, seed: int = 0) -> Tensor:
    r"""Score of each row, large = suspicious: s_i = S_c (1/2 - n_k(i) / n_c), (N,) float64 in [-0.5, 0.5].

    The rows of class c are put on their first principal components and cut in two by k-means. n_k(i) / n_c is the share of
    the half in which row i lies, S_c the mean silhouette of the cut: rows of a small half that stands well apart score
    high. In the source a half is suspicious below 35 % of its class.

    Args:
        features: (N, D).
        labels: (N,), those trained on, or clusters. A class of fewer than three rows scores 0.
        components: principal components, at most.
        seed: of k-means.

    Raises:
        TypeError, ValueError: NaN, labels that do not fit.

    Source: Chen, Carvalho, Baracaldo, Ludwig, Edwards, Lee, Molloy, Srivastava 2018, arXiv 1811.03728.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.metrics import silhouette_score

    y = checks.labels(labels, len(checks.embeddings(features, "features"))).cpu()
    if components < 1:
        raise ValueError(f"components must be at least 1, got {components}")
    scores = torch.zeros(len(features), dtype=torch.double)
    for c in y.unique():
        rows = features[(y == c).to(features.device)].double().cpu().numpy()
        if len(rows) < 3 or (rows == rows[0]).all():
            continue
        some = PCA(min(components, *rows.shape), random_state=seed).fit_transform(rows)
        half = torch.from_numpy(KMeans(2, n_init=4, random_state=seed).fit_predict(some)).long()
        share = half.bincount(minlength=2).double() / len(half)
        apart = silhouette_score(some, half.numpy(), sample_size=min(1000, len(rows)), random_state=seed)
        scores[y == c] = float(apart) * (0.5 - share[half])
    return scores
