"""The contrastive loss.

NT-Xent forward and backward on two views of N embeddings of width 128, temperature 0.1. "Plain torch" keeps the whole
table of similarities. pytorch-metric-learning lists all pairs of pairs: its memory grows with N³.
"""

import bench
import torch
import torch.nn.functional as F
from record import Line, main
from torch import Tensor

SIZES = (256, 1024, 4096)
REACH = {1024: {"lightly": 2.0}, 4096: {"lightly": 2.0}}
LIMITS = {
    256: "Matrix products take half of the time, calls of small operations the rest.",
    1024: "Matrix products take 62 % of the time.",
    4096: "Matrix products take 75 % of the time, one of them the second computation of the similarities; softmax 10 %.",
}

LINES = [
    *(Line(f"time {n}", f"NT-Xent, N = {n}", reach=REACH.get(n, {}), limit=LIMITS[n]) for n in SIZES),
    Line("memory 256", "memory, N = 256", "MB"),
    Line("memory 4096", "memory, N = 4096", "MB", reach={"lightly": 4.0}),
    Line("memory 16384", "memory of the whole process, N = 16384", "MB", at_most=1500),
]


def embeddings(n: int) -> tuple[Tensor, Tensor]:
    z = torch.randn(2, n, 128, generator=torch.Generator().manual_seed(0)).to(bench.device())
    return z[0].clone().requires_grad_(), z[1].clone().requires_grad_()


def step(loss, z):
    """Forward, backward, and the value."""

    def work() -> float:
        for rows in z:
            rows.grad = None
        value = loss(*z)
        value.backward()
        return value.item()

    return work


def sslwork(z):
    from sslwork.losses import nt_xent

    return step(lambda z1, z2: nt_xent(z1, z2, temperature=0.1), z)


def lightly(z):
    return step(bench.peer("lightly.loss").NTXentLoss(temperature=0.1), z)


def metric_learning(z):
    losses = bench.peer("pytorch_metric_learning.losses")
    if len(z[0]) > 256:
        return "not run: more than 8 GB"
    return step(losses.SelfSupervisedLoss(losses.NTXentLoss(temperature=0.1)), z)


def plain(z):
    def loss(z1: Tensor, z2: Tensor) -> Tensor:
        u = F.normalize(torch.cat([z1, z2]), dim=1)
        similarity = (u @ u.T / 0.1).fill_diagonal_(-torch.inf)
        partner = torch.arange(len(u), device=u.device).roll(len(z1))
        return F.cross_entropy(similarity, partner)

    return step(loss, z)


CONTENDERS = {
    "sslwork": sslwork, "lightly": lightly, "plain torch": plain, "pytorch-metric-learning": metric_learning,
}  # fmt: skip


def agree(values: dict[str, float]) -> None:
    low, high = min(values.values()), max(values.values())
    assert high - low < 1e-4 * high, f"the losses differ: {values}"


def measure():
    found = {}
    for n in SIZES:
        found[f"time {n}"] = bench.race(
            embeddings, CONTENDERS, bench.size(n, 32), warm=32, repeats=5, check=agree
        )
    for n in (256, 4096):
        found[f"memory {n}"] = bench.peaks(embeddings, CONTENDERS, bench.size(n, 32), warm=32)
    alone = {"sslwork": sslwork}
    found["memory 16384"] = bench.peaks(embeddings, alone, bench.size(16384, 32), warm=32, whole=True)
    return found


if __name__ == "__main__":
    main(__file__, __doc__, LINES, measure)
