"""Forgetting without labels: move a network's representations of some pictures away, and keep the others in place."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks, descent, vae
from sslwork.data.pictures import to_float
from sslwork.nets import Classifier
from sslwork.seeds import generator

HIDDEN, LATENT, KL = (128, 32), 8, 0.025  # of the two small auto-encoders: widths, code, weight of the KL


def bounded(error: Tensor) -> Tensor:
    """s(m) = exp(m / (m + 1)) of squared errors m >= 0: from 1 at m = 0 towards e, so that forgetting saturates."""
    return torch.exp(error / (error + 1))


def unlearning_loss(remaining_error: Tensor, forgetting_error: Tensor) -> Tensor:
    """U = sum_i s(m_i) over what remains - sum_j s(m_j) over what is to be forgotten.

    Lowering it keeps remaining rows likely and makes forgetting rows unlikely under what they used to be.

    Args:
        remaining_error: (N_r,) squared errors, summed over dimensions, under the auto-encoder of all rows.
        forgetting_error: (N_f,) the same under the auto-encoder of the rows to be forgotten.

    Raises:
        ValueError: a negative or non-finite error.

    Source: Shen, Zhang, Zhao, Bialkowski, Chen, Xu 2024, "Label-Agnostic Forgetting", ICLR.
    """
    for name, error in (("remaining_error", remaining_error), ("forgetting_error", forgetting_error)):
        if not (torch.isfinite(error) & (error >= 0)).all():
            raise ValueError(f"{name} must hold finite squared errors, 0 or above")
    return bounded(remaining_error).sum() - bounded(forgetting_error).sum()


def alignment_loss(
    remaining: Tensor, remaining_before: Tensor, forgetting: Tensor, forgetting_before: Tensor, *, temperature: float
) -> Tensor:  # fmt: skip
    """A = sum_i [ c_i - log sum_j exp(d_j / T) ], with c_i, d_j = 1 - cosine of a row with itself before.

    The first term holds remaining rows where they were, the second moves forgetting rows away. With nothing moved
    c = d = 0 and A = -N_r log N_f.

    Args:
        remaining, remaining_before: (N_r, D) rows of what remains, now and in the original network.
        forgetting, forgetting_before: (N_f, D) rows of what is to be forgotten.
        temperature: T > 0; a small one moves the row that has moved furthest already.

    Raises:
        ValueError: rows that are not finite or not of one shape; no rows to forget.

    Source: Shen et al. 2024, see `unlearning_loss`.
    """
    checks.pair(remaining, remaining_before, ("remaining", "remaining_before"), rows=1)
    checks.pair(forgetting, forgetting_before, ("forgetting", "forgetting_before"), rows=1)
    checks.positive(temperature, "temperature")
    moved = 1 - F.cosine_similarity(remaining, remaining_before)  # (N_r,)
    away = 1 - F.cosine_similarity(forgetting, forgetting_before)  # (N_f,)
    return moved.sum() - len(remaining) * torch.logsumexp(away / temperature, 0)


def forget(
    model: Classifier, forgetting: Tensor, remaining: Tensor, *, passes: int = 20, batch_size: int = 64,
    lr_unlearn: float = 5e-4, lr_align: float = 1e-3, temperature: float = 20.0, unlearn: bool = True,
    align: bool = True, vae_epochs: int = 10, seed: int = 0,
) -> Classifier:  # fmt: skip
    """A copy of `model` that has forgotten some pictures. No label is read.

    For each pair of batches two steps of Adam, each with a state of its own, over all parameters: one on
    `unlearning_loss`, one on `alignment_loss` from fresh rows. Batch norms stay in evaluation mode.

    Args:
        model: its `features` are what is changed; it stays as it is.
        forgetting, remaining: pictures (N, C, H, W), uint8 or in [0, 1].
        passes: over the pictures to forget. With fewer remaining pictures than forgetting ones a pass ends with them;
            otherwise so many remaining ones are seen, drawn anew in each pass.
        lr_unlearn, lr_align: rates of the two steps. (The paper: 5e-5 and 1e-4 for MNIST, with ten times the steps.)
        temperature: of the alignment; 20 to forget a class or wrong labels, 5 for pictures at random.
        unlearn, align: leave one of the two steps out.
        vae_epochs: passes of the two auto-encoders over the original rows.
        seed: of batches and auto-encoders.

    Raises:
        ValueError: nothing to forget, or nothing that remains.

    Source: Shen et al. 2024, see `unlearning_loss`. There decoders end in a sigmoid, though rows are unbounded; here
    in a linear layer.
    """
    if not len(forgetting) or not len(remaining):
        raise ValueError(
            f"{len(forgetting)} pictures to forget and {len(remaining)} that remain: both must hold some"
        )
    forgetting, remaining = to_float(forgetting), to_float(remaining)
    before = copy.deepcopy(model).eval().requires_grad_(False)
    with torch.no_grad():
        rows_f, rows_r = before.features(forgetting), before.features(remaining)
    known = [_likely(rows, vae_epochs, batch_size, seed) for rows in (torch.cat([rows_r, rows_f]), rows_f)]
    model = copy.deepcopy(model).eval()
    optimisers = [torch.optim.Adam(model.parameters(), lr) for lr in (lr_unlearn, lr_align)]
    batches = _batches(len(forgetting), len(remaining), passes, batch_size, seed)
    for step, (f, r) in enumerate(batches):
        pictures = torch.cat([remaining[r], forgetting[f]])
        if unlearn:
            now = model.features(pictures).split([len(r), len(f)])
            errors = [(net(rows) - rows).square().sum(1) for net, rows in zip(known, now, strict=True)]
            descent.descend(optimisers[0], unlearning_loss(*errors), step)
        if align:
            now_r, now_f = model.features(pictures).split([len(r), len(f)])
            loss = alignment_loss(now_r, rows_r[r], now_f, rows_f[f], temperature=temperature)
            descent.descend(optimisers[1], loss, step)
    return model


def _likely(rows: Tensor, epochs: int, batch_size: int, seed: int) -> vae.Small:
    """What these rows look like: an auto-encoder of them, fitted and frozen."""
    net = vae.Small("vector", shape=rows.shape[1:], latent=LATENT, hidden=HIDDEN, seed=seed).to(rows.device)
    steps = max(1, epochs * len(rows) // batch_size)
    vae.fit(net, rows, beta=KL, steps=steps, batch_size=batch_size, lr=1e-3, seed=seed)
    return net.requires_grad_(False)


def _batches(
    forgetting: int, remaining: int, passes: int, batch_size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of row numbers; a pass ends with the shorter of the two."""
    for each in range(passes):
        draw = generator(seed, each)
        orders = [torch.randperm(rows, generator=draw).split(batch_size) for rows in (forgetting, remaining)]
        yield from zip(*orders, strict=False)
