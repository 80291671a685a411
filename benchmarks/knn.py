"""The k-NN probe.

10,000 queries against a bank of 50,000 rows of width 512 in 100 classes, k = 200, votes weighted by
exp(cosine / 0.1). lightly's knn_predict takes rows that are of length one already, in batches: of 256 as in its own
classifier, and of 1,024. Both predict the same classes (1 in 1,000 may differ by rounding).
"""

import bench
import torch
import torch.nn.functional as F
from record import Line, main
from torch import Tensor

BANK, QUERIES, K, CLASSES = 50_000, 10_000, 200, 100
LINES = [
    Line(
        "time",
        "k-NN, bank of 50,000",
        reach={"lightly, by 256": 1.3, "lightly, by 1024": 1.3},
        limit="The matrix product takes 83 % of the time, the selection of the k largest 10 %.",
    ),
    Line(
        "memory",
        "memory, bank of 400,000",
        "MB",
        reach={"sslwork, bank of 100,000": 0.9},
        limit="One block of the bank, 65,536 rows, against 1,024 queries.",
    ),
]


def features(n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Bank, its labels, a fifth as many queries (10,000 at most), their labels: noise about the classes' centres."""
    draw = torch.Generator().manual_seed(0)
    q = min(QUERIES, n // 5)
    y = torch.randint(CLASSES, (n + q,), generator=draw)
    rows = torch.randn(n + q, 512, generator=draw)
    rows += 0.2 * torch.randn(CLASSES, 512, generator=draw)[y]
    return rows[:n], y[:n], rows[n:], y[n:]


def sslwork(data):
    from sslwork.measures import knn

    bank, bank_labels, queries, labels = data
    return lambda: knn(bank, bank_labels, queries, labels, k=min(K, len(bank)), temperature=0.1).predictions


def with_lightly(data, batch):
    predict = bench.peer("lightly.utils.benchmarking.knn").knn_predict
    bank, bank_labels, queries, _ = data
    columns, queries = F.normalize(bank, dim=1).T.contiguous(), F.normalize(queries, dim=1)
    k = min(K, len(bank))
    return lambda: torch.cat(
        [
            predict(part, columns, bank_labels, num_classes=CLASSES, knn_k=k, knn_t=0.1)[:, 0]
            for part in queries.split(batch)
        ]
    )


def lightly_256(data):
    return with_lightly(data, 256)


def lightly_1024(data):
    return with_lightly(data, 1024)


CONTENDERS = {"sslwork": sslwork, "lightly, by 256": lightly_256, "lightly, by 1024": lightly_1024}


def agree(predictions: dict[str, Tensor]) -> None:
    for name, theirs in predictions.items():
        same = (theirs == predictions["sslwork"]).double().mean()
        assert same > 0.999, f"{name} predicts the same for {same:.2%} only"


def measure():
    bank = bench.size(BANK, 500)
    values = bench.race(features, CONTENDERS, bank, warm=500, check=agree)
    memory = {
        n: bench.peaks(features, {"sslwork": sslwork}, bench.size(n, 500), warm=500)["sslwork"]
        for n in (2 * BANK, 8 * BANK)
    }
    return {
        "time": values,
        "memory": {
            "sslwork": memory[8 * BANK],
            "sslwork, bank of 100,000": memory[2 * BANK],
            "lightly, bank of 50,000": bench.peaks(features, {"lightly": lightly_256}, bank, warm=500)[
                "lightly"
            ],
        },
    }


if __name__ == "__main__":
    main(__file__, __doc__, LINES, measure)
