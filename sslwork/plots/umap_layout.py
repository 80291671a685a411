"""UMAP from neighbours that are known already; what it compiles stays on disk, and can be made ready in good time."""

import contextlib
import functools
import os
import subprocess
import sys
from types import ModuleType

import numpy as np

_PATIENCE = 30  # seconds for a warm-up under way: as long as it takes to compile here
_warming: subprocess.Popen[bytes] | None = None


def warm_up() -> None:
    """Have UMAP's code compiled in a process of its own, so that the first map of a fresh kernel only loads it.

    Call it early and go on: nothing waits but a map that comes before it is done. It costs about 20 s of one core the
    first time on a machine, and 3 s later. (A thread would hold the interpreter, and so training, for all that time.)
    """
    global _warming
    if _warming is None:
        # Run as a file, it loads umap and not sslwork with torch; -P keeps the modules beside it out of the way.
        command = [sys.executable, "-P", "-W", "ignore", __file__]
        _warming = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def lay_out(
    near: np.ndarray,
    distances: np.ndarray,
    start: np.ndarray,
    *,
    min_dist: float,
    epochs: int | None,
    seed: int,
) -> np.ndarray:
    """The UMAP layout (N, 2) that begins at `start` (N, 2).

    Args:
        near, distances: (N, k) rows and distances of each point's neighbours, nearest first, the point itself leading.
        epochs: None for UMAP's choice, 500 up to 10,000 points and 200 above.

    Source: McInnes, Healy, Melville 2018, arXiv 1802.03426.
    """
    umap = _umap()
    draw = np.random.RandomState(seed)
    # UMAP scales the start to a box of 10 x 10: without noise, points that all coincide would be divided by zero.
    start = start / max(float(np.abs(start).max()), 1e-12) + draw.normal(scale=1e-5, size=start.shape)
    graph, _, _ = umap.fuzzy_simplicial_set(
        start, near.shape[1], draw, "precomputed", knn_indices=near, knn_dists=distances
    )
    a, b = umap.find_ab_params(1.0, min_dist)
    # The features themselves would be read for spectral starts only.
    layout, _ = umap.simplicial_set_embedding(
        None, graph, n_components=2, initial_alpha=1.0, a=a, b=b, gamma=1.0, negative_sample_rate=5, n_epochs=epochs,
        init=start.astype(np.float32), random_state=draw, metric="precomputed", metric_kwds={}, densmap=False,
        densmap_kwds={}, output_dens=False,
    )  # fmt: skip
    return layout


@functools.cache
def _umap() -> ModuleType:
    """The module umap.umap_, which from now on keeps on disk what it compiles: 5 s less in the next kernel."""
    if _warming is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            _warming.wait(_PATIENCE)
    from numba.core.dispatcher import Dispatcher
    from umap import layouts, umap_

    for module in (umap_, layouts):
        for function in vars(module).values():
            if isinstance(function, Dispatcher):
                with contextlib.suppress(RuntimeError):  # no folder can be written to: it compiles each time
                    function.enable_caching()
    return umap_


def _rehearse() -> None:
    """Lay out a few points by the same path as any others."""
    points = np.linspace(0, 1, 20)
    near = np.abs(points[:, None] - points).argsort(1)[:, :5]
    lay_out(
        near, np.linspace(0, 1, 100, dtype=np.float32).reshape(20, 5), np.stack([points, points**2], 1),
        min_dist=0.5, epochs=20, seed=0,
    )  # fmt: skip


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(5)  # training comes first
    _rehearse()
