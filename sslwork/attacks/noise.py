"""The control of every attack: changes as large, in no direction."""

import torch
from torch import Tensor

from sslwork import seeds


def equal_noise(x: Tensor, found: Tensor, *, seed: int | torch.Generator = 0) -> Tensor:
    """Random signs in place of what an attack found, picture by picture of the same l_2 length, in [0, 1].

    All pixels change by the same amount a, but where the box cuts them off; a makes up for that:

        a such that  sum_i min(a, room_i)² = ||found - x||²,   room_i = distance to the box in the direction of the sign

    Where even a = 1 is too short, all signs go to the rim of the box.

    Args:
        x: pictures (N, ...) in [0, 1]; found: of the same shape, what an attack made of them.
        seed: of the signs; or a generator, drawn from.

    Raises:
        ValueError: shapes that differ, NaN.

    >>> equal_noise(torch.full((1, 4), 0.5), torch.tensor([[0.5, 0.7, 0.5, 0.5]])).sub(0.5).abs()
    tensor([[0.1000, 0.1000, 0.1000, 0.1000]])
    """
    if x.shape != found.shape:
        raise ValueError(f"x and found must be of one shape, got {tuple(x.shape)} and {tuple(found.shape)}")
    if x.numel() == 0:
        return x.clone()
    generator = seed if isinstance(seed, torch.Generator) else seeds.generator(seed)
    signs = (torch.randint(0, 2, x.shape, generator=generator) * 2 - 1).to(x)
    room = torch.where(signs > 0, 1 - x, x).flatten(1)
    wanted = (found - x).flatten(1).square().sum(1, keepdim=True)  # (N, 1)
    if not wanted.isfinite().all():
        raise ValueError(
            f"x or found holds NaN or infinity, first in sample {int((~wanted.isfinite()).nonzero()[0, 0])}"
        )

    # With the k smallest rooms full, the others share what is left. The k that holds is where a still fits into the next.
    sizes = room.sort(1).values.square()
    full = sizes.cumsum(1) - sizes  # (N, D): what the k smallest take up, k = 0 ... D - 1
    others = torch.arange(room.shape[1], 0, -1, device=x.device)
    k = (full + others * sizes < wanted).sum(1, keepdim=True).clamp(max=room.shape[1] - 1)
    a = ((wanted - full.gather(1, k)) / others[k]).clamp(min=0).sqrt()
    return (x + signs * a.reshape(-1, *[1] * (x.ndim - 1))).clamp(0, 1)
