"""A seeded sample of rows which does not depend on how they came."""

import torch
from torch import Tensor

from sslwork.seeds import generator

_BLOCK = 4096


def smallest_keys(rows: Tensor, ids: Tensor, keep: int, seed: int) -> tuple[Tensor, Tensor]:
    """The `keep` rows with the smallest keys, in the order of their ids; every id has one key, drawn from the seed.

    Samples merge: the sample of two samples put together is the sample of all rows. So neither the order of the
    rows, nor the batches they came in, nor the process that saw them changes it.
    """
    blocks, place = torch.unique(ids // _BLOCK, return_inverse=True)
    keys = torch.stack(
        [
            torch.rand(_BLOCK, generator=generator(seed, block), dtype=torch.double)
            for block in blocks.tolist()
        ]
    )[place, ids % _BLOCK]  # (N,)
    kept = keys.argsort()[:keep]
    kept = kept[ids[kept].argsort()]
    return rows[kept.to(rows.device)], ids[kept]
