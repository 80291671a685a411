"""Training a classifier against an adversary: one loop for PGD-AT, TRADES and what weighs or adds to them."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks
from sslwork.data.pictures import PictureSet, to_float
from sslwork.schedule import Batches, batch_rows, learning_rate
from sslwork.seeds import generator

# Of the model, pictures x, labels y, a generator and the share of eps that is allowed now: the pictures x'.
Inner = Callable[..., Tensor]


def cross_entropy(model: nn.Module, x: Tensor, adversarial: Tensor, y: Tensor) -> Tensor:
    """CE(z(x'), y) of each picture, (N,): the loss of PGD-AT (Madry and others 2018, arXiv 1706.06083)."""
    return F.cross_entropy(model(adversarial), y, reduction="none")


def fit(
    model: nn.Module,
    pictures: PictureSet,
    *,
    inner: Inner | None = None,
    loss: Callable[..., Tensor] = cross_entropy,
    weight: Callable[[Tensor, Tensor], Tensor] | None = None,
    extra: Callable[..., Tensor] | None = None,
    steps: int = 400,
    batch_size: int = 128,
    lr: float = 2e-3,
    sampler: Batches = batch_rows,
    eps_ramp: float = 0.0,
    seed: int = 0,
    progress: bool = True,
) -> list[float]:
    r"""min over theta of mean_i w_i loss(theta; x_i, x'_i, y_i) + extra, with x' what the inner maximiser finds.

    Adam, warm-up over a tenth of the steps, then half a cosine. x' is made in evaluation mode, the step is taken in
    training mode, and the model is left in evaluation mode. It is changed in place, on the device where it lies.

    Args:
        model: pictures (N, C, H, W) in [0, 1] -> logits (N, K).
        pictures: with labels.
        inner: `inner(model, x, y, generator) -> x'`, e.g. `robust.ascent(eps=0.2)`; None: standard training.
        loss: `loss(model, x, x', y) -> (N,)`; cross entropy at x' unless given.
        weight: `weight(losses, y) -> (N,)` from the losses of the batch, without gradient. Not normalised here.
        extra: `extra(model, x, x', y) -> scalar`, added to the mean; called after `weight`.
        steps, batch_size, lr: of Adam. A batch larger than the set becomes the set.
        sampler: which rows come together, see `sslwork.batches`.
        eps_ramp: share of the training over which eps rises from 0; `inner` is then told `share`, in (0, 1], by name.
        seed: of batches and attacks.

    Returns:
        What was minimised, one number per step.

    Raises:
        ValueError: no labels, steps or sizes out of range, weights of another shape or below 0.
        FloatingPointError: the loss is no longer finite.
    """
    labels = checks.labels(pictures.labels, len(pictures))
    for name, value in {"steps": steps, "batch_size": batch_size}.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number, at least 1; got {value!r}")
    checks.positive(lr, "lr")
    if not 0 <= eps_ramp <= 1:
        raise ValueError(f"eps_ramp is a share of the training, 0 to 1; got {eps_ramp}")
    from tqdm.auto import tqdm

    device = next(model.parameters()).device
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    batch_size, draw, curve = min(batch_size, len(pictures)), generator(seed, 17), []
    for step in tqdm(range(steps), desc="robust.fit", unit="step", leave=False, disable=not progress):
        rows = sampler(step, len(pictures), batch_size, seed)
        x, y = to_float(pictures.images[rows]).to(device), labels[rows].to(device)
        adversarial = x
        if inner is not None:
            model.eval()
            told = {"share": min(1.0, (step + 1) / (eps_ramp * steps))} if eps_ramp else {}
            adversarial = inner(model, x, y, draw, **told).detach()
        model.train()
        losses = loss(model, x, adversarial, y)  # (N,)
        total = losses.mean() if weight is None else (_weights(weight, losses, y) * losses).mean()
        if extra is not None:
            total = total + extra(model, x, adversarial, y)
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss is {total.item()} at step {step}; lower the learning rate")
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        optimiser.param_groups[0]["lr"] = learning_rate(step, steps, lr)
        optimiser.step()
        curve.append(total.item())
    model.eval()
    return curve


def _weights(weight: Callable[[Tensor, Tensor], Tensor], losses: Tensor, y: Tensor) -> Tensor:
    w = weight(losses.detach(), y).detach()
    if w.shape != losses.shape or not bool((w >= 0).all()):  # NaN fails the comparison
        low = w.min().item() if w.numel() else None
        raise ValueError(
            f"weight must give {tuple(losses.shape)} numbers of 0 or more, got {tuple(w.shape)}, least {low}"
        )
    return w
