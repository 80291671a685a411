"""Has it collapsed? A verdict in plain words."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.measures.rank import rankme


@dataclass(frozen=True)
class Verdict:
    """What `collapse` found. `state` is "healthy", "dimensional" or "collapsed"; `str()` is a sentence."""

    state: str
    spread: float
    rank: float
    width: int

    def __str__(self) -> str:
        figures = f"spread {self.spread:.2f} of 1, effective rank {self.rank:.1f} of {self.width}"
        return {
            "healthy": f"Healthy: embeddings spread over many directions ({figures}).",
            "dimensional": f"Dimensional collapse: only few directions are in use ({figures}). Look at the head, and "
            "at the strength of the views.",
            "collapsed": f"Collapsed: nearly every picture gets the same embedding ({figures}). Something must push "
            "apart: negatives, a stop-gradient with a predictor, or a variance term.",
        }[self.state]


def collapse(z: Tensor) -> Verdict:
    """Judge embeddings (N, D) by their spread and their effective rank.

    Spread: mean over dimensions of the standard deviation of unit rows, times sqrt(D): 1 for an even sphere, 0 for a
    point. Below 0.2 is called collapsed; a RankMe below a tenth of min(N, D) (at least 2) dimensional collapse. Both
    bounds are this workbook's, chosen to be passed plainly by the healthy and failed plainly by the broken.
    """
    checks.embeddings(z, "z")
    u = F.normalize(z.double(), dim=1, eps=1e-12)
    spread = float(u.std(dim=0).mean()) * z.shape[1] ** 0.5
    rank = rankme(z)
    bound = max(2.0, min(z.shape) / 10)
    state = "collapsed" if spread < 0.2 else "dimensional" if rank < bound else "healthy"
    return Verdict(state, spread, rank, min(z.shape))
