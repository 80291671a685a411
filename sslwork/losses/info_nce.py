"""InfoNCE: find the key of a query, among the keys of the others or among negatives kept in a queue."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.losses.similarity import logsumexp, unit


def info_nce(
    queries: Tensor, keys: Tensor, negatives: Tensor | None = None, *, temperature: float | Tensor
) -> Tensor:
    r"""Cross entropy of picking the own key; with q, k, n the rows scaled to length one:

        with negatives (MoCo):   L = mean_i -log e(q_i.k_i) / (e(q_i.k_i) + sum_j e(q_i.n_j)),   e(s) = exp(s / temperature)
        without (CLIP, MoCo v3): L = 1/2 mean_i -log e(q_i.k_i) / sum_j e(q_i.k_j)
                                   + 1/2 mean_i -log e(k_i.q_i) / sum_j e(k_i.q_j)

    Gradients go wherever they are asked for: MoCo makes its keys under `torch.no_grad`, and its queue has none.

    Args:
        queries, keys: (N, D) floating point, N >= 1; row i of one belongs to row i of the other.
        negatives: (K, D), K >= 1, compared with every query; without them, the other keys are the negatives.
        temperature: > 0, in units of cosine similarity. A tensor of one element gets a gradient.

    Raises:
        TypeError, ValueError: not floating point, wrong or unequal shapes, NaN, temperature <= 0.

    Source: Van den Oord, Li, Vinyals 2018, arXiv 1807.03748; He et al. 2020, arXiv 1911.05722 (with a queue).

    >>> eye = torch.eye(2)
    >>> across, queue = info_nce(eye, eye, temperature=1.0), info_nce(eye, eye, -eye, temperature=1.0)
    >>> print(f"{across:.5f} {queue:.5f}")
    0.31326 0.40761
    """
    checks.pair(queries, keys, ("queries", "keys"), rows=1)
    shape = torch.as_tensor(temperature).shape
    if shape.numel() != 1:
        raise ValueError(f"temperature must be one number, got shape {tuple(shape)}")
    q, k = unit(queries), unit(keys)
    own = (q * k).sum(1) / temperature  # (N,)
    if negatives is None:
        rows, columns = (logsumexp(a, b, temperature=temperature) for a, b in ((q, k), (k, q)))
        return ((rows + columns) / 2 - own).mean()
    checks.embeddings(negatives, "negatives", rows=1)
    if negatives.shape[1] != queries.shape[1]:
        shapes = f"{tuple(queries.shape)} and {tuple(negatives.shape)}"
        raise ValueError(f"queries and negatives must be of one width, got {shapes}")
    others = logsumexp(q, unit(negatives), temperature=temperature)  # (N,)
    return -F.logsigmoid(own - others).mean()
