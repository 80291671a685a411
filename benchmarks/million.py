"""Beyond memory.

1,000,000 rows of width 512 in 100 classes, float32, in a .npy file of 2 GB: one pass for RankMe, the ridge and naive
Bayes probes (10,000 queries) and a seeded sample of 2,000 rows, which is then laid out by UMAP, in one process.
"""

import tempfile
import time
from pathlib import Path

import bench
import numpy as np
import torch
from record import Line, main

ROWS, QUERIES, WIDTH, CLASSES = bench.size(1_000_000, 20_000), 10_000, 512, 100
LINES = [
    Line("memory", "memory of the whole process", "MB", at_most=1500, limit=""),
    Line("pass", "the pass", limit=""),
    Line("probes", "RankMe and both probes, after the pass", limit=""),
    Line("map", "the map of the sample", limit=""),
]


def write(folder: str) -> None:
    """Noise about the classes' centres, written block by block."""
    draw = torch.Generator().manual_seed(0)
    centres = 0.2 * torch.randn(CLASSES, WIDTH, generator=draw)
    labels = torch.randint(CLASSES, (ROWS + QUERIES,), generator=draw)
    np.save(Path(folder, "labels.npy"), labels.numpy())
    shape = (ROWS + QUERIES, WIDTH)
    rows = np.lib.format.open_memmap(Path(folder, "rows.npy"), mode="w+", dtype=np.float32, shape=shape)
    for block in torch.arange(len(rows)).split(10_000):
        z = torch.randn(len(block), WIDTH, generator=draw) + centres[labels[block]]
        rows[block[0] : block[-1] + 1] = z.numpy()


def read(folder: str) -> dict[str, float]:
    from sslwork import measures, plots

    rows = np.load(Path(folder, "rows.npy"), mmap_mode="r")
    labels = np.load(Path(folder, "labels.npy"))
    queries = rows[ROWS:], labels[ROWS:]
    times = [time.perf_counter()]

    def lap() -> float:
        times.append(time.perf_counter())
        return times[-1] - times[-2]

    m = measures.moments(rows[:ROWS], labels[:ROWS], keep=2000)
    seconds = {"pass": lap()}
    rank = measures.rankme(m)
    scores = [probe(m, None, *queries) for probe in (measures.ridge, measures.naive_bayes)]
    seconds["probes"] = lap()
    plots.map2d(m.sample)
    seconds["map"] = lap()
    assert rank > WIDTH / 2 and all(score.value > 0.5 for score in scores), (rank, *map(str, scores))
    return seconds | {"memory": bench.high_water() / 1e6}


def measure():
    with tempfile.TemporaryDirectory() as folder:
        bench.fresh(write, folder)
        return {name: {"sslwork": value} for name, value in bench.fresh(read, folder).items()}


if __name__ == "__main__":
    main(__file__, __doc__, LINES, measure)
