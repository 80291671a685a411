"""SelfCon: the exits of one network are each other's views, so that one picture is passed once."""

import torch
from torch import Tensor

from sslwork import checks
from sslwork.losses.supcon import supcon


def selfcon(
    features: Tensor, labels: Tensor | None = None, *, temperature: float = 0.07, base_temperature: float = 0.07
) -> Tensor:  # fmt: skip
    r"""The self-contrastive loss: rows of all exits, drawn together by picture, or by the label of the picture.

    The (B, E, D) rows u, of length one, are B E anchors a. P(a) are all other rows whose picture has the label of a's, the
    other exits of its own picture among them:

        L = -(temperature / base_temperature) mean_a 1/|P(a)| sum_{p in P(a)}
              [ a.p / temperature - log sum_{q != a} exp(a.q / temperature) ]

    With one exit this is `supcon`, and rows without a positive are left out.

    Args:
        features: (B, E, D) floating point, exits of one network, scaled to length one here.
        labels: (B,) whole numbers, >= 0; without them every picture is its own class.
        temperature: > 0, in units of cosine similarity.
        base_temperature: rescales the loss only.

    Raises:
        TypeError, ValueError: another shape, NaN, fewer than two rows, temperatures <= 0.

    Source: Bae and others 2021, arXiv 2106.15499; with two terms in Boychev and Cholakov 2024, arXiv 2407.20020.

    >>> print(f"{selfcon(torch.ones(3, 2, 4)):.4f}")  # log(2 * 3 - 1)
    1.6094
    """
    if features.ndim != 3:
        raise ValueError(
            f"features must have shape (pictures, exits, D), got {tuple(features.shape)}; add an exit with features[:, None]"
        )
    checks.positive(base_temperature, "base_temperature")
    pictures, exits, _ = features.shape
    own = torch.arange(pictures) if labels is None else checks.labels(labels, pictures)
    rows = features.flatten(0, 1)  # (B E, D), the exits of a picture together
    value = supcon(
        rows, own.repeat_interleave(exits), temperature=checks.positive(temperature, "temperature")
    )
    return temperature / base_temperature * value
