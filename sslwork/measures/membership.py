"""Was a picture in the training set? What a network's confidence gives away."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def membership(members: Tensor, strangers: Tensor, asked: Tensor, *, seed: int = 0) -> float:
    """The share of `asked` that a membership attack takes for training pictures, 0..1.

    The attack: logistic regression on the sorted probabilities of the classifier, fitted to tell `members` from as many
    `strangers`. On pictures that were never seen it says "member" in about half of all cases.

    Args:
        members: logits (N, K) of training pictures, none of which are asked about.
        strangers: logits (M, K) of pictures that were not trained on.
        asked: logits (Q, K) of the pictures in question.
        seed: of the draw that makes members and strangers equally many.

    Raises:
        ValueError: logits that are not finite, not of one width, or none.

    Source: Shokri, Stronati, Song, Shmatikov 2017, arXiv 1610.05820; this form as in Shen et al. 2024 (LAF).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = [
        _sorted(z, name) for z, name in ((members, "members"), (strangers, "strangers"), (asked, "asked"))
    ]
    if len({z.shape[1] for z in rows}) > 1:
        raise ValueError(f"logits must have one width, got {[z.shape[1] for z in rows]}")
    few = min(len(rows[0]), len(rows[1]))
    draw = np.random.default_rng(seed)
    balanced = [z[draw.permutation(len(z))[:few]] for z in rows[:2]]
    attack = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    attack.fit(np.concatenate(balanced), np.repeat([1, 0], few))
    return float(attack.predict(rows[2]).mean())


def _sorted(logits: Tensor, name: str) -> np.ndarray:
    if logits.ndim != 2 or not len(logits) or not torch.isfinite(logits).all():
        raise ValueError(
            f"{name} must hold finite logits (N, K), at least one row; got {tuple(logits.shape)}"
        )
    return logits.detach().double().softmax(1).sort(1, descending=True).values.cpu().numpy()
