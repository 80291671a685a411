"""iSogCLR: a temperature for each picture, learnt from a bound on how unequal the push on its negatives may be."""

import math

import torch
from torch import Tensor, nn

from sslwork import checks
from sslwork.losses.similarity import similarities, unit


class ISogCLR(nn.Module):
    r"""Distributionally robust contrastive loss: anchor i pushes as the worst p with KL(p || uniform) <= rho would.

    The dual of that worst case has one temperature per picture, tau_i, as its variable. With h_aj the cosine of anchor
    a, a view of picture i, to negative j of M = 2N - 2, less that to its positive:

        F_i = tau_i log mean_j exp(h_aj / tau_i) + tau_i rho,   minimised over the encoder and all tau_i

    A call estimates both gradients from one batch. The mean runs along over the visits of picture i, so that small
    batches do: m <- (1 - gamma) m + gamma mean_j exp(h_aj / tau_i). Then, with the weights p_aj = exp(h_aj / tau_i) / m:

        loss = mean_i, sum over both views of  mean_j p_aj h_aj     (p held: its gradient is that of F, its value is not)
        grad = mean over both views of  log m + rho - mean_j p_aj h_aj / tau_i,  cut to [-3, 3]
        u_i <- (1 - momentum) u_i + momentum grad,   tau_i <- tau_i - rate u_i,  kept within its bounds

    At rest the push of every picture has KL(p || uniform) = rho, unless a bound holds it. State changes in training
    mode only.

    Args:
        num_samples: pictures in the data set.
        rho: >= 0, in nats; the larger, the more unequal the push may be. 0.1 to 0.5 for small sets.
        gamma: in (0, 1], how much the last batch counts in the running mean; 1 forgets all before.
        temperature: of every picture at first.
        min_temperature, max_temperature: bounds, above 0.
        rate, momentum: of the descent on temperatures; momentum in (0, 1], 1 remembers nothing.
        individual: False holds the temperature: SogCLR, with the cosines themselves for h in m and p.
        relative: False takes the cosines there for iSogCLR too, as the authors' code does and their paper does not.
            With gamma = 1 it is the same; below, m then lags behind every move of tau, and tau may be caught far from
            where it would rest.

    Attributes:
        temperatures, velocities, log_means: tau, u and log m of each picture, (num_samples,); log m is -inf before
            the first visit.

    Raises:
        TypeError, ValueError: a setting out of range; in a call not floating point, unequal shapes, one row, NaN, or
            `rows` that are no whole numbers, out of range or twice the same.

    Source: Qiu, Hu, Yuan, Zhou, Zhang, Yang 2023, arXiv 2305.11965; SogCLR: Yuan, Wu, Qiu et al. 2022, arXiv 2202.12387.

    >>> loss = ISogCLR(100, rho=0.3, gamma=0.8)
    >>> value = loss(torch.eye(2), torch.eye(2), torch.tensor([7, 99]))
    >>> print(f"{value:.2f}, tau of picture 7: {loss.temperatures[7]:.4f}")
    -2.00, tau of picture 7: 0.0955
    """

    temperatures: Tensor
    velocities: Tensor
    log_means: Tensor

    def __init__(
        self,
        num_samples: int,
        *,
        rho: float,
        gamma: float,
        temperature: float = 0.1,
        min_temperature: float = 0.05,
        max_temperature: float = 1.0,
        rate: float = 0.03,
        momentum: float = 0.5,
        individual: bool = True,
        relative: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(num_samples, int) or num_samples < 2:
            raise ValueError(f"num_samples must be a whole number, at least 2; got {num_samples!r}")
        if not 0 < min_temperature <= temperature <= max_temperature < math.inf:
            bounds = f"{min_temperature} <= {temperature} <= {max_temperature}"
            raise ValueError(f"temperature must lie within its bounds, which are above 0: not so {bounds}")
        for name, share in (("gamma", gamma), ("momentum", momentum)):
            if not 0 < share <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, got {share}")
        checks.not_negative(rho=rho, rate=rate)
        self.rho, self.gamma, self.rate, self.momentum = rho, gamma, rate, momentum
        self.individual = individual
        self.relative = relative and individual
        self.bounds = (min_temperature, max_temperature)
        # In float64: the state is small, and a gradient times the rate may be.
        start = {"temperatures": temperature, "velocities": 0.0, "log_means": -math.inf}
        for name, value in start.items():
            self.register_buffer(name, torch.full((num_samples,), value, dtype=torch.double))

    def forward(self, z1: Tensor, z2: Tensor, rows: Tensor) -> Tensor:
        """The loss of two views, each (N, D), N >= 2, of the pictures `rows` (N,) of the data set, each there once."""
        checks.pair(z1, z2)
        rows = self._checked(rows, len(z1))
        u = unit(torch.cat([z1, z2]))  # (2N, D)
        s = similarities(u, u)  # (2N, 2N)
        positives = (u[: len(z1)] * u[len(z1) :]).sum(1).repeat(2)  # (2N,)
        h = s - positives[:, None] if self.relative else s
        with torch.no_grad():
            picture = torch.arange(len(z1), device=u.device).repeat(2)
            own = picture[:, None] == picture  # views of one picture are not compared
            tau = self.temperatures[rows].repeat(2)  # (2N,)
            logits = (h / tau[:, None].to(s.dtype)).masked_fill(own, -torch.inf)
            log_m = self._running(logits.logsumexp(1) - math.log(len(u) - 2), rows)
            p = (logits - log_m[:, None].to(s.dtype)).exp() / (len(u) - 2)  # over M
        pushed = (p * h).sum(1)
        if self.training:
            self._move(rows, log_m, pushed.detach() / tau)
        return 2 * (pushed if self.relative else pushed - positives).mean()

    def _running(self, log_mean: Tensor, rows: Tensor) -> Tensor:
        """log m of each anchor (2N,): the running mean of its picture with this batch in it, in logs lest it overflow."""
        former = self.log_means[rows].repeat(2)
        old, new = former.new_tensor([1 - self.gamma, self.gamma]).log()
        return torch.where(former > -torch.inf, torch.logaddexp(former + old, log_mean + new), log_mean)

    def _move(self, rows: Tensor, log_m: Tensor, pushed: Tensor) -> None:
        """Take in this batch: state of the pictures `rows`, from log m and mean_j p h / tau of the anchors (2N,)."""
        n = len(rows)
        self.log_means[rows] = torch.logaddexp(log_m[:n], log_m[n:]) - math.log(2)
        if self.individual:
            gradient = (log_m + self.rho - pushed).view(2, n).mean(0).clamp(-3, 3)
            self.velocities[rows] = self.velocities[rows].lerp(gradient, self.momentum)
            moved = self.temperatures[rows] - self.rate * self.velocities[rows]
            self.temperatures[rows] = moved.clamp(*self.bounds)

    def _checked(self, rows: Tensor, count: int) -> Tensor:
        rows = torch.as_tensor(rows, device=self.temperatures.device)
        if rows.shape != (count,) or rows.is_floating_point() or rows.dtype == torch.bool:
            raise ValueError(
                f"rows must be {count} whole numbers, the row of each picture in the data set; "
                f"got shape {tuple(rows.shape)} of {rows.dtype}"
            )
        size = len(self.temperatures)
        if rows.min() < 0 or rows.max() >= size:
            raise ValueError(f"rows must be 0 to {size - 1}, got {int(rows.min())} to {int(rows.max())}")
        if len(rows.unique()) < count:
            raise ValueError(
                "rows holds a picture twice: its state can follow one only; draw without replacement"
            )
        return rows
