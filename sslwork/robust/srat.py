"""SRAT: weights for rare classes, and features kept apart so that the weights can do something."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sslwork import checks, losses


def effective_weights(counts: Sequence[int] | Tensor, beta: float) -> Tensor:
    r"""Weights of classes by their effective number of samples, (K,), scaled to sum K: w_c ~ 1 / E_c.

        E_c = (1 - beta^n_c) / (1 - beta)

    Args:
        counts: samples of each class, 1 or more.
        beta: in [0, 1]: 0 makes all classes equal, 1 weighs by 1 / n_c.

    Raises:
        ValueError: a class without samples, beta out of range.

    Source: Cui, Jia, Lin, Song, Belongie 2019, arXiv 1901.05555.

    >>> effective_weights([4, 2, 1], 0.5)
    tensor([0.7273, 0.9091, 1.3636])
    """
    n = torch.as_tensor(counts, dtype=torch.double)
    if n.ndim != 1 or not len(n) or not bool((n >= 1).all()):
        raise ValueError(f"counts must name 1 sample or more of each class, got {n.tolist()}")
    if not 0 <= beta <= 1:
        raise ValueError(f"beta must lie in 0..1, got {beta}")
    # Of beta near 1 the difference 1 - beta^n has few digits left; expm1 keeps them.
    effective = n if beta == 1 else -torch.expm1(n * math.log(beta)) / (1 - beta) if beta else n**0
    weights = effective.reciprocal()
    return (len(n) * weights / weights.sum()).float()


class SRAT:
    r"""Separable reweighted adversarial training, as two arguments of `robust.fit`:

        L = mean_i w_{y_i} CE(z(x'_i), y_i) + lam SupCon(phi(x'), y)

    The examples x' are those of plain adversarial training, which know nothing of the weights. phi are the penultimate
    rows of the *attacked* pictures.

    Args:
        weights: (K,) one for each class, 0 or more; not normalised.
        lam: >= 0, price of features that are not separate; 0 leaves reweighted adversarial training.
        temperature: of SupCon.
        uniform_steps: so many steps with equal weights come first (the deferred schedule).

    Use: `srat = SRAT(weights); fit(model, pictures, inner=ascent(eps=0.15), weight=srat.weight, extra=srat.extra)`, with
    a model that has `features`, as of `nets.small_conv`. One object per run: it counts its steps.

    Raises:
        ValueError: weights below 0 or none, lam < 0, a label without a weight.

    Source: Wang, Xu, Liu, Li, Thuraisingham, Tang 2021, arXiv 2107.13639.
    """

    def __init__(
        self, weights: Sequence[float] | Tensor, *, lam: float = 1.0, temperature: float = 0.1, uniform_steps: int = 0
    ) -> None:  # fmt: skip
        self.weights = torch.as_tensor(weights, dtype=torch.float)
        if self.weights.ndim != 1 or not len(self.weights) or not bool((self.weights >= 0).all()):
            raise ValueError(
                f"weights must be one number of 0 or more for each class, got {self.weights.tolist()}"
            )
        checks.not_negative(lam=lam, uniform_steps=uniform_steps)
        self.lam, self.temperature = lam, checks.positive(temperature, "temperature")
        self._uniform_left = uniform_steps

    def weight(self, losses: Tensor, y: Tensor) -> Tensor:
        """w_y of each picture, (N,)."""
        if int(y.max()) >= len(self.weights):
            raise ValueError(f"label {int(y.max())} has no weight: there are {len(self.weights)}")
        self._uniform_left -= 1
        return torch.ones_like(losses) if self._uniform_left >= 0 else self.weights.to(losses)[y]

    def extra(self, model: nn.Module, x: Tensor, adversarial: Tensor, y: Tensor) -> Tensor:
        """lam SupCon of the rows of the attacked pictures."""
        if not self.lam:
            return torch.zeros((), device=x.device)
        return self.lam * losses.supcon(model.features(adversarial), y, temperature=self.temperature)  # type: ignore[operator]


def threshold(q: float, *, ratio: float, mean: float, eps: float, std: float) -> float:
    r"""Where a robust classifier of two bells cuts: classes N(-mean, std^2), frequent, and N(+mean, std^2), rare.

    An adversary moves either by eps towards the other. With `ratio` frequent samples to one rare one, each of which
    counts q times, the least weighted robust error has its cut, from the midpoint towards the rare class, at

        t = std^2 / (2 (mean - eps)) log(ratio / q)

    Args:
        q: > 0, weight of a rare sample.
        ratio: > 0.
        mean, std: > 0, in one unit.
        eps: in [0, mean): beyond it the two classes change places.

    Raises:
        ValueError: an argument out of its range.

    >>> print(f"{threshold(1, ratio=100, mean=1, eps=0, std=1):.3f} {threshold(1, ratio=100, mean=1, eps=0.5, std=1):.3f}")
    2.303 4.605
    """
    for name, value in {"q": q, "ratio": ratio, "mean": mean, "std": std}.items():
        checks.positive(value, name)
    if not 0 <= eps < mean:
        raise ValueError(
            f"eps must lie in 0..mean, got {eps} with mean {mean}: no cut is robust when the attack is as wide"
        )
    return std**2 / (2 * (mean - eps)) * math.log(ratio / q)


def errors(t: float, *, mean: float, eps: float, std: float) -> tuple[float, float]:
    r"""Robust error of the frequent and of the rare class at the cut t: Normal((-(mean - eps) -+ t) / std).

    Arguments as for `threshold`, which finds t; here eps may be as wide as the mean, or wider.

    >>> print("{:.3f} {:.3f}".format(*errors(0.0, mean=1, eps=0.5, std=1)))
    0.309 0.309
    """
    checks.positive(std, "std")
    frequent, rare = ((-(mean - eps) + side * t) / std for side in (-1, 1))
    return tuple(torch.special.ndtr(torch.tensor([frequent, rare], dtype=torch.double)).tolist())
