"""The linear probe.

Multinomial logistic regression, C = 1, on 50,000 standardised rows of width 512 in 100 classes, read on 10,000 others:
all within half a point of accuracy. sslwork calls scikit-learn; beside it stand scikit-learn's lbfgs as it comes, in a
pipeline with StandardScaler, and torch's LBFGS with the strong Wolfe line search, stopped after 100 iterations.
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
        limit="Both run the same solver: 70 % of scikit-learn's time is the loss and its gradient.",
    ),
]


def sslwork(data):
    from sslwork.measures import linear

    return lambda: linear(*data, c=1.0).value


def sklearn(data):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    bank, bank_labels, queries, labels = (part.numpy() for part in data)

    def work() -> float:
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
        return probe.fit(bank, bank_labels).score(queries, labels)

    return work


def with_torch(data):
    bank, bank_labels, queries, labels = data

    def work() -> float:
        mean, scale = bank.mean(0), bank.std(0)
        x = (bank - mean) / scale
        layer = torch.nn.Linear(x.shape[1], CLASSES)
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def objective():
            optimiser.zero_grad()
            loss = F.cross_entropy(layer(x), bank_labels) + layer.weight.square().sum() / (2 * len(x))
            loss.backward()
            return loss

        optimiser.step(objective)
        with torch.no_grad():
            return float((layer((queries - mean) / scale).argmax(1) == labels).double().mean())

    return work


CONTENDERS = {"sslwork": sslwork, "scikit-learn": sklearn, "torch LBFGS": with_torch}


def equal_accuracy(accuracy: dict[str, float]) -> None:
    slack = 0.05 if bench.SMALL else 0.005
    assert max(accuracy.values()) - min(accuracy.values()) < slack, accuracy


def measure():
    return {"time": bench.race(features, CONTENDERS, bench.size(BANK, 2000), warm=2000, check=equal_accuracy)}


if __name__ == "__main__":
    main(__file__, __doc__, LINES, measure)
