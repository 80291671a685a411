"""RankMe and the whole panel.

50,000 rows of width 2048 in 100 classes, float32. The panel is RankMe, effective rank (centred or not), alpha-ReQ,
stable rank, participation ratio, anisotropy, ridge and naive Bayes probes on 2,000 queries, and CKA with the labels,
all from one pass. Errors are against torch's svdvals in float64, on 8,192 x 1,024 rows with healthy and collapsed
spectra, the worst of them; stable-pretraining's is taken against its own eps.
"""

from types import SimpleNamespace

import bench
import torch
from record import Line, main
from torch import Tensor

ROWS, QUERIES = 50_000, 2_000
LINES = [
    Line(
        "time",
        "RankMe",
        reach={"torch svdvals": 1.0},
        limit="The product (dsyrk) takes 60 % of the time, the tridiagonal form 7 %, passes over the rows the rest.",
    ),
    Line(
        "memory",
        "memory of RankMe",
        "MB",
        reach={"torch svdvals": 4.0},
        limit="A batch of rows in float64 and two matrices of 2048 x 2048.",
    ),
    Line("panel", "the whole panel (within 1.3 times RankMe)", reach={"sslwork, RankMe": 0.77}, limit=""),
    Line(
        "quick",
        "RankMe, quick mode",
        reach={"sslwork, RankMe": 2.0, "torch svdvals": 2.0},
        limit="The product (ssyrk) takes 55 % of the time, the tridiagonal form 10 %; norms, checks and the directions "
        "that measure the error pass over the rows.",
    ),
    Line("error", "worst error of RankMe", "%", at_most=0.01, limit=""),
    Line("stated", "spectra of which the quick mode's interval misses the truth", "of 6", at_most=0),
]


def rows(n: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    y = torch.randint(100, (n,), generator=draw)
    z = torch.randn(n, min(n, 2048), generator=draw)
    return z.add_(0.2 * torch.randn(100, z.shape[1], generator=draw)[y]), y


def sslwork(data):
    from sslwork import measures

    return lambda: measures.rankme(data[0])


def quick(data):
    from sslwork import measures

    return lambda: measures.rankme(measures.moments(data[0], quick=True))


def panel(data):
    from sslwork import measures

    z, y = data
    queries = z[:QUERIES], y[:QUERIES]

    def work():
        m = measures.moments(z, y)
        spectral = [
            measure(m)
            for measure in (
                measures.rankme, measures.effective_rank, measures.alpha_req, measures.stable_rank,
                measures.participation_ratio, measures.anisotropy, measures.cka,
            )
        ]  # fmt: skip
        probes = [probe(m, None, *queries) for probe in (measures.ridge, measures.naive_bayes)]
        return *spectral, measures.effective_rank(m, centred=True), *probes

    return work


def svdvals(data):
    return lambda: entropy_rank(torch.linalg.svdvals(data[0].double()), 1e-7)


def entropy_rank(s: Tensor, eps: float) -> float:
    return float(torch.special.entr(s / s.sum() + eps).sum().exp())


def stable_pretraining(data):
    """Its callback, called as its trainer would."""
    z, logged = data[0], {}
    callback = bench.peer("stable_pretraining.callbacks.rankme").RankMe(
        "rankme", "z", *z.shape, verbose=False
    )
    callback._target_queue = SimpleNamespace(data=z)
    trainer, module = SimpleNamespace(global_rank=0), SimpleNamespace(log=logged.__setitem__)

    def work() -> float:
        callback.on_validation_batch_end(trainer, module, {}, {}, 0)
        return logged["rankme"]

    return work


def spectra(n: int) -> dict[str, Tensor]:
    """Rows (n, n / 8) whose spectra are healthy, or decay, or have collapsed nearly or fully."""
    draw, d = torch.Generator().manual_seed(0), n // 8
    noise, few = torch.randn(n, d, generator=draw), torch.randn(n, 8, generator=draw)
    eight = few @ torch.randn(8, d, generator=draw)
    k = torch.arange(1, d + 1)
    return {
        "healthy": noise,
        "power law": noise / k,
        "exponential": noise * torch.exp(-k / 20),
        "eight directions": eight,
        "eight directions and noise": eight + 1e-6 * noise,
        "a point and noise": torch.randn(d, generator=draw) + 1e-4 * noise,
    }


def errors(n: int) -> dict[str, dict[str, bench.Value]]:
    """The worst relative error of each contender, in percent, and how often the quick mode says too little."""
    worst: dict[str, bench.Value] = {}
    missed = 0
    for z in spectra(n).values():
        s = torch.linalg.svdvals(z.double())
        truth = entropy_rank(s, 1e-7)
        contenders = {"sslwork": sslwork, "sslwork, quick": quick, "stable-pretraining": stable_pretraining}
        for name, work in bench.ready((z, None), contenders).items():
            if isinstance(work, str):
                worst[name] = work
                continue
            value, target = work(), entropy_rank(s, 1e-5) if name == "stable-pretraining" else truth
            worst[name] = max(worst.get(name, 0.0), 100 * abs(value / target - 1))
            if name == "sslwork, quick":
                missed += not value.low <= truth <= value.high
    return {"error": worst, "stated": {"sslwork": float(missed)}}


CONTENDERS = {
    "sslwork": sslwork, "torch svdvals": svdvals, "sslwork, quick": quick, "sslwork, panel": panel,
    "stable-pretraining": stable_pretraining,
}  # fmt: skip


def measure():
    n = bench.size(ROWS, 4000)
    t = bench.race(rows, CONTENDERS, n, warm=4000)
    memory = {name: CONTENDERS[name] for name in ("sslwork", "torch svdvals", "stable-pretraining")}
    return {
        "time": {name: t[name] for name in memory},
        "memory": bench.peaks(rows, memory, n, warm=4000),
        "panel": {"sslwork": t["sslwork, panel"], "sslwork, RankMe": t["sslwork"]},
        "quick": {
            "sslwork": t["sslwork, quick"],
            "sslwork, RankMe": t["sslwork"],
            "torch svdvals": t["torch svdvals"],
        },
        **bench.fresh(errors, bench.size(8192, 4096)),
    }


if __name__ == "__main__":
    main(__file__, __doc__, LINES, measure)
