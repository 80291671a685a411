"""A map on first use.

2,000 points of width 64, in a process that has just started: seconds from the call to the PCA picture and to UMAP's
first result, all imports they need included. "On a new machine" numba has compiled nothing before; "in the next kernel"
a process like it has run already. "Warmed" starts `plots.warm_up()` and trains for forty seconds, as the start
notebook does, before it asks for the map. umap-learn is called plainly: UMAP().fit_transform.
"""

import os
import statistics
import tempfile
import time

import bench
import torch
from record import Line, main

POINTS = 2000
LINES = [
    Line("pca", "PCA picture", at_most=2.0, limit=""),
    Line(
        "new",
        "first UMAP on a new machine",
        at_most=10.0,
        limit="Compiling: 13.5 s when pynndescent is imported, 5 s for UMAP's own functions. Nothing can be shown sooner "
        "but PCA; `make lab` compiles at set-up.",
    ),
    Line("warmed", "first UMAP on a new machine, warmed", at_most=10.0, limit=""),
    Line("next", "first UMAP in the next kernel", at_most=10.0, limit=""),
]


def points() -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    centres = torch.randn(20, 64, generator=draw)
    return centres[torch.arange(POINTS) % 20] + 0.3 * torch.randn(POINTS, 64, generator=draw)


def sslwork(cache: str, method: str = "umap", warmed: bool = False) -> float:
    os.environ["NUMBA_CACHE_DIR"] = cache
    features = points()
    from sslwork import plots

    if warmed:
        plots.warm_up()
        train_for(bench.size(40, 2))
    started = time.perf_counter()
    plots.map2d(features, method=method)
    return time.perf_counter() - started


def train_for(seconds: float) -> None:
    from sslwork import data, encoders, methods, train

    pictures, until = data.load("stickers"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        train.fit(methods.SimCLR(encoders.conv()), pictures, steps=10, progress=False)


def umap(cache: str) -> float:
    os.environ["NUMBA_CACHE_DIR"] = cache
    features = points().numpy()
    started = time.perf_counter()
    from umap import UMAP

    UMAP().fit_transform(features)
    return time.perf_counter() - started


def measure():
    found: dict[str, dict[str, list[float]]] = {
        line.name: {"sslwork": []} | ({"umap-learn": []} if line.name in ("new", "next") else {})
        for line in LINES
    }
    for _ in range(bench.size(3, 1)):
        with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
            for name in ("new", "next"):  # the second finds what the first has compiled
                found[name]["sslwork"].append(bench.fresh(sslwork, ours))
                found[name]["umap-learn"].append(bench.fresh(umap, theirs))
            found["pca"]["sslwork"].append(bench.fresh(sslwork, ours, "pca"))
        with tempfile.TemporaryDirectory() as empty:
            found["warmed"]["sslwork"].append(bench.fresh(sslwork, empty, "umap", True))
        bench.say(str(found))
    return {
        name: {who: statistics.median(times) for who, times in row.items()} for name, row in found.items()
    }


if __name__ == "__main__":
    main(__file__, __doc__, LINES, measure)
