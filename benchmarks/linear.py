"""The linear probe.

Multinomial logistic regression, C = 1, on 50,000 standardised rows of width 512 in 100 classes, read on 10,000 others.
sslwork calls scikit-learn's lbfgs and stops where no slope is above 0.001. Beside it stand the same in a plain pipeline,
torch's LBFGS with the strong Wolfe line search, and scikit-learn with its own tolerance, 0.0001. The first three agree
to half a point of accuracy; the last fits the bank closer, and the queries no better.
"""

import bench
import torch
import torch.nn.functional as F
from knn import BANK, CLASSES, features
from record import Line, main

LINES = [
    Line(
        "time",
        "linear probe",
        reach={"scikit-learn": 1.0, "torch LBFGS": 1.0},
        limit="Both run scikit-learn's solver; 70 % of its time is the loss and its gradient.",
    ),
]


def sslwork(data):
    from sslwork.measures import linear

    return lambda: linear(*data, c=1.0).value


def sklearn(data, tol: float = 1e-3):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    bank, bank_labels, queries, labels = (part.numpy() for part in data)

    def work() -> float:
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000, tol=tol))
        return probe.fit(bank, bank_labels).score(queries, labels)

    return work


def sklearn_own(data):
    return sklearn(data, tol=1e-4)


def with_torch(data):
    bank, bank_labels, queries, labels = data

    def work() -> float:
        mean, scale = bank.mean(0), bank.std(0)
        x = (bank - mean) / scale
        layer = torch.nn.Linear(x.shape[1], CLASSES)
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        optimiser = torch.optim.LBFGS(
            layer.parameters(),
            max_iter=1000,
            tolerance_grad=1e-3,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )

        def objective():
            optimiser.zero_grad()
            loss = F.cross_entropy(layer(x), bank_labels) + layer.weight.square().sum() / (2 * len(x))
            loss.backward()
            return loss

        optimiser.step(objective)
        with torch.no_grad():
            return float((layer((queries - mean) / scale).argmax(1) == labels).double().mean())

    return work


CONTENDERS = {
    "sslwork": sslwork, "scikit-learn": sklearn, "torch LBFGS": with_torch, "scikit-learn, tol 0.0001": sklearn_own
}  # fmt: skip


def same_or_better(accuracy: dict[str, float]) -> None:
    slack = 0.02 if bench.SMALL else 0.005
    ours, theirs, torchs, closer = (accuracy[name] for name in CONTENDERS)
    assert abs(ours - theirs) < slack and abs(ours - torchs) < slack and ours > closer - slack, accuracy


def measure():
    return {"time": bench.race(features, CONTENDERS, bench.size(BANK, 2000), warm=2000, check=same_or_better)}


if __name__ == "__main__":
    main(__file__, __doc__, LINES, measure)
