"""The temperature as the price of a bound: how unequal may the push on the negatives be?"""

import math

import torch
from torch import Tensor

from sslwork import checks


def temperature_for(
    similarities: Tensor, *, rho: float, min_temperature: float = 0.05, max_temperature: float = 1.0
) -> Tensor:
    r"""The temperature of each anchor at which its push is as unequal as allowed: KL(p || uniform) = rho.

    With p = softmax_j(s_j / tau) the divergence falls as tau rises, so that bisection finds it, for all anchors at
    once. It is where the temperatures of iSogCLR come to rest if the features do.

    Args:
        similarities: of each anchor to its negatives, (..., M) floating point; -inf where one is left out.
        rho: >= 0, in nats.
        min_temperature, max_temperature: bounds, above 0: what comes back where no temperature between gives rho.

    Returns:
        (...,) temperatures.

    Raises:
        TypeError, ValueError: not floating point, NaN, an anchor without negatives, bounds or rho out of range.

    Source: the dual of Qiu, Hu, Yuan, Zhou, Zhang, Yang 2023, arXiv 2305.11965.

    >>> temperature_for(torch.tensor([[0.9, 0.1, 0.0], [0.5, 0.5, 0.5]]), rho=0.4)
    tensor([0.4465, 0.0500])
    """
    checks.not_negative(rho=rho)
    if not 0 < min_temperature <= max_temperature < float("inf"):
        raise ValueError(
            f"min_temperature and max_temperature must be above 0 and in order, got {min_temperature} and {max_temperature}"
        )
    if not similarities.is_floating_point():
        raise TypeError(f"similarities must hold floating-point numbers, got {similarities.dtype}")
    if similarities.ndim == 0 or similarities.shape[-1] == 0 or not similarities.amax(-1).isfinite().all():
        raise ValueError("similarities (..., M) must hold a finite number for each anchor, and no NaN")
    similarities = similarities.to(torch.promote_types(similarities.dtype, torch.float32))
    low = torch.full_like(similarities[..., 0], min_temperature)
    high = torch.full_like(low, max_temperature)
    span = math.log(max_temperature / min_temperature)
    while span > 4 * torch.finfo(low.dtype).eps:  # as exact as the type
        span /= 2
        middle = (low * high).sqrt()
        unequal = kl_from_uniform(similarities, middle) > rho
        low, high = torch.where(unequal, middle, low), torch.where(unequal, high, middle)
    return high


def kl_from_uniform(similarities: Tensor, temperature: Tensor | float) -> Tensor:
    """KL(p || uniform) of p = softmax(similarities / temperature), in nats: (..., M), (...,) -> (...,), 0 to log M."""
    tau = torch.as_tensor(temperature, dtype=similarities.dtype, device=similarities.device)
    below = (similarities - similarities.amax(-1, keepdim=True)).clamp(min=-1e30)  # finite: 0 times it is 0
    weight = (below / tau[..., None]).exp()
    total = weight.sum(-1)
    count = (similarities > -torch.inf).sum(-1).to(total.dtype)
    return (count / total).log() + torch.linalg.vecdot(weight, below) / (tau * total)
