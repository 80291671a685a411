"""Attacks on a classifier.

128 upright MNIST digits of 16 x 16 in one batch against `zoo.classifier("robust")` (PGD-AT, 150 steps), eps 0.1 in
l_inf and 1 in l_2: digits which it gets right, since the APGD and Square of torchattacks leave the others alone. FGSM;
PGD of 20 steps of 2.5 eps / 20 from a random start, to the last point; APGD on cross-entropy, 20 steps; Square, 200
queries. All get the same model, pictures, eps and steps. The PGD of the peers has no best point: ours, as it comes, has
a line of its own. The accuracy each leaves must lie within our 95 % interval, or the run stops. foolbox has neither
APGD nor Square.
"""

import functools

import bench
import torch
from record import Line, main

PICTURES, STEPS, QUERIES = 128, 20, 200
BEST = "pgd, l_inf, best point"
EPS = {"fgsm": 0.1, "pgd, l_inf": 0.1, BEST: 0.1, "pgd, l_2": 1.0, "apgd": 0.1, "square": 0.1}
SAME = 0.95  # as fast: two runs of the same code differ by as much
BOTH = {"torchattacks": SAME, "foolbox": SAME}
REACH = {name: BOTH if name[0] in "fp" else {"torchattacks": SAME} for name in EPS} | {BEST: {}}
LIMITS = {
    BEST: "A forward pass after the last step, and a choice at every step, which the peers do not make.",
}
LINES = [
    Line(f"time {name}", f"{name}, {PICTURES} pictures", reach=REACH[name], limit=LIMITS.get(name, ""))
    for name in EPS
]
LINES += [Line(f"left {name}", f"{name}, accuracy left", "%") for name in EPS]


def inputs(n: int):
    from sslwork import data, zoo
    from sslwork.data.pictures import to_float

    upright = {"size": 16, "turn": 0, "scale": (1, 1), "shift": 0}
    train = data.load("affine-digits", count=bench.size(10_000, 200), **upright)
    test = data.load("affine-digits", split="test", count=400, **upright)
    net = zoo.classifier("robust", train, steps=bench.size(150, 2), progress=False).to(bench.device())
    x, y = to_float(test.images).to(bench.device()), test.labels.to(bench.device())
    with torch.no_grad():
        right = (net(x).argmax(1) == y).nonzero().flatten()[:n]
    return net, x[right], y[right]


def sslwork(name: str, case):
    from sslwork import attacks

    (net, x, y), eps = case, EPS[name]
    return {
        "fgsm": lambda: attacks.fgsm(net, x, y, eps=eps),
        "pgd, l_inf": lambda: attacks.pgd(net, x, y, eps=eps, n_iter=STEPS, keep_best=False),
        BEST: lambda: attacks.pgd(net, x, y, eps=eps, n_iter=STEPS),
        "pgd, l_2": lambda: attacks.pgd(net, x, y, norm="l2", eps=eps, n_iter=STEPS, keep_best=False),
        "apgd": lambda: attacks.apgd(net, x, y, eps=eps, n_iter=STEPS),
        "square": lambda: attacks.square(net, x, y, eps=eps, n_queries=QUERIES),
    }[name]


def torchattacks(name: str, case):
    made, ((net, x, y), eps) = bench.peer("torchattacks"), (case, EPS[name])
    step = 2.5 * eps / STEPS
    attack = {
        "fgsm": lambda: made.FGSM(net, eps=eps),
        **dict.fromkeys(["pgd, l_inf", BEST], lambda: made.PGD(net, eps=eps, alpha=step, steps=STEPS)),
        "pgd, l_2": lambda: made.PGDL2(net, eps=eps, alpha=step, steps=STEPS),
        "apgd": lambda: made.APGD(net, eps=eps, steps=STEPS),
        "square": lambda: made.Square(net, eps=eps, n_queries=QUERIES),
    }[name]()
    return lambda: attack(x, y)


def foolbox(name: str, case):
    made, ((net, x, y), eps) = bench.peer("foolbox"), (case, EPS[name])
    model = made.PyTorchModel(net, bounds=(0, 1), device=x.device)
    pgd = {"rel_stepsize": 2.5 / STEPS, "steps": STEPS}
    attack = {
        "fgsm": lambda: made.attacks.LinfFastGradientAttack(),
        **dict.fromkeys(["pgd, l_inf", BEST], lambda: made.attacks.LinfPGD(**pgd)),
        "pgd, l_2": lambda: made.attacks.L2PGD(**pgd),
    }[name]()
    return lambda: attack(model, x, y, epsilons=eps)[1]


CONTENDERS = {
    f"{library.__name__}: {name}": functools.partial(library, name)
    for name in EPS
    for library in (sslwork, torchattacks, *([foolbox] if name[0] in "fp" else []))
}


def left(found: dict[str, torch.Tensor]) -> dict[str, float]:
    """The accuracy, in percent, after each attack."""
    from sslwork import attacks

    net, _, y = inputs(len(next(iter(found.values()))))
    return {key: 100 * attacks.accuracy(net, at.detach(), y) for key, at in found.items()}


def agree(found: dict[str, torch.Tensor]) -> None:
    from sslwork import attacks

    shares, n = left(found), len(next(iter(found.values())))
    for key, share in shares.items():
        low, high = attacks.wilson(round(shares[f"sslwork: {key.split(': ')[1]}"] * n / 100), n)
        assert low <= share / 100 <= high, f"{key}: {share:.1f} % outside {low:.3f} to {high:.3f}"


def accuracies(n: int) -> dict[str, bench.Value]:
    works = bench.ready(inputs(n), CONTENDERS)
    shares = left({key: work() for key, work in works.items() if callable(work)})
    return {key: shares.get(key, work) for key, work in works.items()}


def measure():
    n = bench.size(PICTURES, 20)
    seconds = bench.race(inputs, CONTENDERS, n, warm=PICTURES, repeats=15, check=agree)
    percent = bench.fresh(accuracies, n)
    return {
        f"{what} {name}": {
            key.split(": ")[0]: value for key, value in values.items() if key.endswith(f": {name}")
        }
        for name in EPS
        for what, values in (("time", seconds), ("left", percent))
    }


if __name__ == "__main__":
    main(__file__, __doc__, LINES, measure)
