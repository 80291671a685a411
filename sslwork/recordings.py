"""Moments of recordings as samples, and views of a moment: another one nearby, fewer neurons, some noise."""

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class Moments:
    """Every bin of every trial as one sample, with the bins around it: what `train.fit` takes for pictures.

    Args:
        spikes: (trials, bins, neurons), floating point.
        lag: bins kept to either side; at the ends of a trial the outermost bin is repeated.

    `images` is (trials * bins, 2 lag + 1, neurons); `now` the moments themselves, (trials * bins, neurons); `trial` and
    `bin` say where each is from, (trials * bins,).

    >>> some = Moments(torch.arange(6.0).view(1, 3, 2), lag=1)
    >>> some.images[0].tolist(), some.now[0].tolist()
    ([[0.0, 1.0], [0.0, 1.0], [2.0, 3.0]], [0.0, 1.0])
    """

    def __init__(self, spikes: Tensor, *, lag: int = 4) -> None:
        if spikes.ndim != 3 or not spikes.is_floating_point() or not spikes.numel():
            raise ValueError(
                f"spikes must be floating point of shape (trials, bins, neurons), got {spikes.dtype} {tuple(spikes.shape)}"
            )
        if not torch.isfinite(spikes).all():
            raise ValueError("spikes hold NaN or infinity; look at torch.isfinite(spikes).all(dim=(1, 2))")
        trials, bins, _ = spikes.shape
        ends = F.pad(spikes.mT, (lag, lag), mode="replicate")  # (trials, neurons, lag + bins + lag)
        self.images = ends.unfold(2, 2 * lag + 1, 1).permute(0, 2, 3, 1).flatten(0, 1).contiguous()
        self.now = spikes.flatten(0, 1)
        self.trial = torch.arange(trials).repeat_interleave(bins)
        self.bin = torch.arange(bins).repeat(trials)

    def __len__(self) -> int:
        return len(self.now)

    def fingerprint(self) -> str:
        """A short hash of the counts and their shape."""
        digest = hashlib.blake2b(str(tuple(self.images.shape)).encode(), digest_size=8)
        digest.update(self.images.numpy().data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Nearby:
    """Views of a moment in a recording. 0 switches a change off.

    The first view shows the moment itself, each other one a bin up to `lag` away in the same trial. All views of a
    moment lose the same neurons: silent neurons must not tell two views apart. The noise is each view's own.

    Args:
        lag: bins, at most those which `Moments` kept.
        dropout: largest share of neurons that fall silent, drawn for each moment (0..1).
        applied: share of moments that lose any (0..1).
        noise: standard deviation of what is added to each count.

    Source: Azabou et al. 2021, arXiv 2102.10106.
    """

    lag: int = 4
    dropout: float = 0.8
    applied: float = 0.9
    noise: float = 0.1

    def __post_init__(self) -> None:
        if not (self.lag >= 0 and 0 <= self.dropout <= 1 and 0 <= self.applied <= 1 and self.noise >= 0):
            raise ValueError(f"lag and noise must be 0 or more, dropout and applied in 0..1; got {self}")

    def several(self, images: Tensor, count: int, generator: torch.Generator) -> list[dict[str, Tensor]]:
        """Of windows (N, 2 kept + 1, neurons): the place in the window, the neurons kept and the noise of each view."""
        n, window, neurons = images.shape
        if window < 2 * self.lag + 1:
            raise ValueError(
                f"lag is {self.lag}, the windows reach {window // 2} bins: make Moments with lag={self.lag}"
            )
        made: dict[str, Any] = {"generator": generator, "device": generator.device}
        share = self.dropout * torch.rand(n, 1, **made)
        kept = torch.rand(n, neurons, **made) >= share * (torch.rand(n, 1, **made) < self.applied)
        places = torch.randint(-self.lag, self.lag + 1, (count, n), **made) + window // 2
        places[0] = window // 2
        noise = self.noise * torch.randn(count, n, neurons, **made)
        views = zip(places.to(images.device), noise.to(images), strict=True)
        return [{"place": place, "kept": kept.to(images), "noise": own} for place, own in views]

    def apply(self, images: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        """The views, (N, neurons)."""
        there = images[torch.arange(len(images), device=images.device), drawn["place"]]  # (N, neurons)
        return there * drawn["kept"] + drawn["noise"]
