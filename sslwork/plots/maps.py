"""Maps: many dimensions laid out in two, and the maps of one run's snapshots made to follow one another."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslwork import checks


def map2d(
    features: Tensor | np.ndarray,
    *,
    method: str = "umap",
    seed: int = 0,
    neighbours: int = 15,
    min_dist: float = 0.5,
    init: np.ndarray | None = None,
    epochs: int | None = None,
) -> np.ndarray:
    """Lay out features (N, D) in the plane: (N, 2) float32, row i for row i.

    Args:
        method: "umap" (neighbourhoods by cosine; distances between far groups mean little) or "pca" (a shadow).
        seed: of UMAP. The same seed gives the same map on one machine.
        neighbours: how many UMAP keeps together; at most N - 1.
        min_dist: how close UMAP lets points come; its own default, 0.1, leaves strings of dots that nobody can point at.
        init: (N, 2), where UMAP starts.
        epochs: of UMAP, fewer are faster.

    Source: McInnes, Healy, Melville 2018, arXiv 1802.03426.
    """
    rows = checks.embeddings(torch.as_tensor(features), "features", rows=4).float().cpu().numpy()
    if method == "pca":
        from sklearn.decomposition import PCA

        return PCA(2, svd_solver="full").fit_transform(rows).astype(np.float32)
    if method != "umap":
        raise ValueError(f"method must be 'umap' or 'pca', got {method!r}")
    from umap import UMAP

    layout = UMAP(
        n_neighbors=min(neighbours, len(rows) - 1), metric="cosine", min_dist=min_dist, random_state=seed,
        n_epochs=epochs,
        init="spectral" if init is None else init, n_jobs=1,  # a fixed seed needs one thread; said, it does not warn
    )  # fmt: skip
    return np.asarray(layout.fit_transform(rows), dtype=np.float32)


def follow(
    snapshots: Mapping[int, Tensor],
    *,
    method: str = "umap",
    seed: int = 0,
    neighbours: int = 15,
    maps: int = 6,
) -> dict[int, np.ndarray]:
    """One map per snapshot {step: features (N, D)}, so laid out that points move little from one to the next.

    The last is laid out first, each earlier one starts where its successor ended and is then turned onto it.

    Args:
        maps: at most so many snapshots (at least 2), evenly chosen, first and last among them.
    """
    steps = sorted(snapshots)
    if not steps:
        raise ValueError("snapshots is empty: train with a panel, and take run.snapshots")
    if maps < len(steps):
        steps = [steps[i] for i in np.unique(np.linspace(0, len(steps) - 1, maps).round().astype(int))]
    done: dict[int, np.ndarray] = {}
    later: np.ndarray | None = None
    for step in reversed(steps):
        options: dict[str, Any] = {} if later is None or method == "pca" else {"init": later, "epochs": 100}
        here = map2d(snapshots[step], method=method, seed=seed, neighbours=neighbours, **options)
        later = here - here.mean(0) if later is None else _turned_onto(here, later)
        done[step] = later
    return dict(sorted(done.items()))


def _turned_onto(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`points`, centred and turned (or mirrored) to lie as near to `target` as they can; distances stay."""
    from scipy.linalg import orthogonal_procrustes

    centred = points - points.mean(0)
    turn, _ = orthogonal_procrustes(centred, target)
    return (centred @ turn).astype(np.float32)
