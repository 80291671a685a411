"""DONE: the weights of adversarial training come from a worst case over the samples, its examples from a barrier."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks


def tilted(losses: Tensor, r: float) -> Tensor:
    r"""The worst weighting of the losses at a price r for being uneven, in closed form:

        Phi = max_w sum_i w_i l_i - r sum_i w_i log(M w_i) = r log( 1/M sum_i exp(l_i / r) ),   dPhi/dl_i = w_i

    It lies between the mean (r large) and the maximum (r small) of the losses.

    Args:
        losses: (M,) floating point, finite.
        r: > 0, in the units of the losses.

    Returns:
        Phi, a scalar. Its gradient holds the weights: never multiply by them as well.

    Raises:
        TypeError, ValueError: not a row of finite floating-point numbers, r <= 0.

    Source: Sow, Lin, Wang, Liang 2024, arXiv 2308.00311.

    >>> print(f"{tilted(torch.tensor([1.0, 2.0, 3.0]).log(), 1.0):.4f}")  # log 2
    0.6931
    """
    return r * (torch.logsumexp(_scaled(losses, r), 0) - math.log(len(losses)))


def worst_weights(losses: Tensor, r: float) -> Tensor:
    """w_i = exp(l_i / r) / sum_j exp(l_j / r), (M,), sum 1: where the maximum in `tilted` lies; same arguments.

    >>> worst_weights(torch.tensor([1.0, 2.0, 3.0]).log(), 1.0)
    tensor([0.1667, 0.3333, 0.5000])
    """
    return _scaled(losses, r).softmax(0)


class DONE:
    r"""Doubly robust instance-reweighted adversarial training, as three arguments of `robust.fit`.

    The examples solve a problem without a rim: delta* maximises l(delta) + c sum_k [log(hi_k - delta_k) + log(delta_k -
    lo_k)], where (lo, hi) are the perturbations within eps of x that leave it in [0, 1]; so delta* moves smoothly with
    theta. A step then takes

        u <- (1 - eta) u + eta mean_B exp(l / r),   w_i = exp(l_i / r) / u
        gradient = mean_i w_i [ dl_i/dtheta + d/dtheta <v_i, dl_i/ddelta> ],   v_i = (dl_i/ddelta) / h, held fixed
        h_k = c [ 1/(hi_k - delta_k)^2 + 1/(delta_k - lo_k)^2 ]

    The second term is what theta does to the loss by moving delta*. The curvature of the loss itself is left out of h,
    which is exact where the loss is linear in the picture.

    Args:
        eps: radius (l_inf) in the units of the pictures, in (0, 1].
        r: > 0, price of uneven weights, in nats: large is plain adversarial training.
        eta: in (0, 1], how fast u follows the batch; 1 gives softmax(l / r) in the batch.
        c: > 0, weight of the barrier, in nats: at c = 0 delta* would sit on the rim.
        n_iter: steps of the inner maximiser.
        implicit: with the second term, or without.

    Use: `done = DONE(eps=0.15); fit(model, pictures, inner=done.inner, weight=done.weight, extra=done.extra)`.
    One object per run: it keeps u.

    Raises:
        ValueError: an argument out of its range.

    Source: Sow, Lin, Wang, Liang 2024, arXiv 2308.00311.
    """

    def __init__(
        self, *, eps: float, r: float = 1.0, eta: float = 0.2, c: float = 0.01, n_iter: int = 5, implicit: bool = True
    ) -> None:  # fmt: skip
        for name, value in {"eps": eps, "r": r, "eta": eta, "c": c, "n_iter": n_iter}.items():
            checks.positive(value, name)
        if eps > 1 or eta > 1:
            raise ValueError(f"eps and eta must be at most 1, got {eps} and {eta}")
        self.eps, self.r, self.eta, self.c, self.n_iter, self.implicit = eps, r, eta, c, n_iter, implicit
        self._radius = eps
        self._log_u: Tensor | None = None
        self._weights: Tensor | None = None

    def inner(self, model: nn.Module, x: Tensor, y: Tensor, draw: torch.Generator, share: float = 1.0) -> Tensor:  # fmt: skip
        """Towards delta*, from a random start: each step moves to where the barrier problem of the tangent is solved.

        Steps of 2/(k+2), as in the generalised conditional gradient method: no step leaves the open box.
        """
        self._radius = share * self.eps
        middle, half = self.interval(x)
        noise = torch.rand(x.shape, generator=draw).to(x) * 2 - 1
        delta = middle + 0.99 * half * noise
        for k in range(self.n_iter):
            (slope,) = torch.autograd.grad(*self._loss(model, x + delta, y))
            delta = delta.lerp(middle + barrier_maximum(slope, half, self.c), 2 / (k + 2))
        return x + delta

    def weight(self, losses: Tensor, y: Tensor) -> Tensor:
        """exp(l / r) / u, (N,): of mean m / u, which is 1 only where eta = 1."""
        scaled = _scaled(losses.detach(), self.r)
        log_m = torch.logsumexp(scaled, 0) - math.log(len(scaled))
        if self._log_u is None or self.eta == 1:
            self._log_u = log_m
        else:  # in logarithms: exp(800) is no number
            self._log_u = torch.logaddexp(self._log_u + math.log1p(-self.eta), log_m + math.log(self.eta))
        self._weights = (scaled - self._log_u).exp()
        return self._weights

    def extra(self, model: nn.Module, x: Tensor, adversarial: Tensor, y: Tensor) -> Tensor:
        """mean_i w_i <v_i, dl_i/ddelta>, whose gradient is the implicit term; after `weight` of the same batch."""
        if not self.implicit:
            return torch.zeros((), device=x.device)
        if self._weights is None:
            raise ValueError(
                "extra needs the weights of the batch: give robust.fit weight=done.weight as well"
            )
        summed, at = self._loss(model, adversarial, y)
        (slope,) = torch.autograd.grad(summed, at, create_graph=True)
        middle, half = self.interval(x)
        off = at.detach() - x - middle
        h = self.c * ((half - off).square().reciprocal() + (half + off).square().reciprocal())
        return (self._weights * (slope * (slope / h).detach()).flatten(1).sum(1)).mean()

    def interval(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Middle and half width of the perturbations of each pixel that keep it within eps and in [0, 1]."""
        low, high = x.clamp(max=self._radius).neg(), (1 - x).clamp(max=self._radius)
        return (high + low) / 2, (high - low) / 2

    def _loss(self, model: nn.Module, at: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        at = at.detach().requires_grad_()
        return F.cross_entropy(model(at), y, reduction="sum"), at


def barrier_maximum(slope: Tensor, half: Tensor | float, c: float) -> Tensor:
    """argmax over |s| < half of slope s + c [log(half - s) + log(half + s)], element by element.

    (-c + sqrt(c^2 + slope^2 half^2)) / slope, written so that a slope of 0 gives 0: inside the box, of the sign of the
    slope, and near the rim where |slope| half is far above c.

    >>> barrier_maximum(torch.tensor([-3.0, 0.0, 3.0]), 0.1, 0.4)
    tensor([-0.0333,  0.0000,  0.0333])
    """
    return slope * half**2 / (c + (c**2 + (slope * half).square()).sqrt())


def _scaled(losses: Tensor, r: float) -> Tensor:
    checks.positive(r, "r")
    if losses.ndim != 1 or not len(losses) or not losses.is_floating_point():
        raise TypeError(
            f"losses must be a row (M,) of floating-point numbers, M >= 1; got {tuple(losses.shape)}, {losses.dtype}"
        )
    if not torch.isfinite(losses).all():
        raise ValueError("losses hold NaN or infinity; lower the learning rate")
    return losses / r
