"""What a network can answer at most over a whole box of inputs: interval bounds, certified and exact radii.

Interval bounds are sound: no input of the box escapes them. They are not tight: what they cannot certify may be safe.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import checks, nets

Box = tuple[float, float] | None
# Each of these sends the ends of an interval to the ends of its image.
MONOTONE = (
    nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Flatten, nn.Identity, nn.Dropout, nn.MaxPool2d,
    nn.AvgPool2d, nn.AdaptiveAvgPool2d, nets.Normalise,
)  # fmt: skip


def layers(model: nn.Module) -> list[nn.Module]:
    """The layers of a chain, in order: an `nn.Sequential`, also within another, or a `nets.Classifier`."""
    if isinstance(model, nets.Classifier):
        return [
            each for part in (model.normalise, *model.blocks, model.body, model.head) for each in layers(part)
        ]
    if isinstance(model, nn.Sequential):
        return [each for part in model for each in layers(part)]
    return [model]


def ibp(model: nn.Module, lo: Tensor, hi: Tensor) -> tuple[Tensor, Tensor]:
    r"""Interval bound propagation: bounds (N, K) of all that the model answers for inputs from lo to hi.

        affine:    c = (l + u) / 2,  r = (u - l) / 2   ->   W c + b -+ |W| r
        monotone:  l, u  ->  f(l), f(u)

    Args:
        model: a chain of linear layers, convolutions, batch norms in evaluation mode and monotone layers, such as
            `nets.small_conv` or an `nn.Sequential`.
        lo, hi: corners of the boxes, (N, ...) like the model's input; nowhere lo > hi.

    Raises:
        ValueError: corners of two shapes, not finite or the wrong way round; batch norm or dropout in training mode.
        TypeError: a layer which has no rule here.

    Source: Gowal and others 2018, arXiv 1810.12715.

    >>> lo, hi = ibp(nn.Sequential(nn.ReLU()), torch.tensor([[-1.0]]), torch.tensor([[2.0]]))
    >>> lo.item(), hi.item()
    (0.0, 2.0)
    """
    if lo.shape != hi.shape:
        raise ValueError(f"lo and hi must have one shape, got {tuple(lo.shape)} and {tuple(hi.shape)}")
    if not (lo <= hi).all() or not torch.isfinite(hi - lo).all():  # NaN fails the comparison
        raise ValueError("lo must be at or below hi everywhere, and both finite: no such box of inputs")
    for layer in layers(model):
        lo, hi = _through(layer, lo, hi)
    return lo, hi


def _through(layer: nn.Module, lo: Tensor, hi: Tensor) -> tuple[Tensor, Tensor]:
    c, r = (lo + hi) / 2, (hi - lo) / 2
    match layer:
        case nn.Linear():
            c, r = layer(c), F.linear(r, layer.weight.abs())
        case nn.Conv2d(padding_mode="zeros"):
            c = layer(c)
            # The same strides on |kernel|; a pad of zeros has no width.
            r = F.conv2d(
                r, layer.weight.abs(), None, layer.stride, layer.padding, layer.dilation, layer.groups
            )
        case nn.BatchNorm2d() | nn.BatchNorm1d() if not layer.training and layer.running_var is not None:
            scale = torch.rsqrt(layer.running_var + layer.eps) * (1 if layer.weight is None else layer.weight)
            c, r = layer(c), r * scale.abs().reshape(-1, *[1] * (r.ndim - 2))
        case nn.BatchNorm2d() | nn.BatchNorm1d():
            raise ValueError("batch norm mixes the samples in training mode; call model.eval() first")
        case nn.Dropout(training=True):
            raise ValueError(
                "dropout draws another mask for each bound in training mode; call model.eval() first"
            )
        case _ if isinstance(layer, MONOTONE):
            return layer(lo), layer(hi)
        case _:
            raise TypeError(f"no rule for a layer {type(layer).__name__}; known are Linear, Conv2d, BatchNorm, "
                            f"{', '.join(kind.__name__ for kind in MONOTONE)}")  # fmt: skip
    return c - r, c + r


def margins(model: nn.Module, lo: Tensor, hi: Tensor, y: Tensor) -> Tensor:
    """Lower bounds (N, K) of z_y - z_j over each box; infinite at j = y. All above 0: no input there changes the class.

    The last layer is merged with the difference, by w_y - w_j, which is tighter than the bounds of two logits.

    Args:
        model: as for `ibp`, its last layer linear.
        lo, hi: (N, ...).
        y: classes (N,).

    Raises:
        TypeError: a last layer that is not linear.
        ValueError: labels that do not fit, and what `ibp` refuses.
    """
    *body, last = layers(model)
    if not isinstance(last, nn.Linear):
        raise TypeError(f"the last layer must be nn.Linear, the logits; got {type(last).__name__}")
    y = checks.labels(y, len(lo), "y").to(lo.device)
    lo, hi = ibp(nn.Sequential(*body), lo, hi)
    w = last.weight[y][:, None] - last.weight  # (N, K, D)
    bias = last.bias if last.bias is not None else last.weight.new_zeros(len(last.weight))
    c, r = (lo + hi) / 2, (hi - lo) / 2
    lower = (
        torch.einsum("nkd,nd->nk", w, c) - torch.einsum("nkd,nd->nk", w.abs(), r) + bias[y][:, None] - bias
    )
    return lower.scatter(1, y[:, None], torch.inf)


def corners(x: Tensor, eps: float | Tensor, box: Box = (0.0, 1.0)) -> tuple[Tensor, Tensor]:
    """x - eps and x + eps, within the box; eps one number, or one per sample (N,).

    Raises:
        ValueError: an x outside the box, an eps that is negative or not finite.
    """
    if box is not None and not ((x >= box[0]) & (x <= box[1])).all():
        low, high = (float(end) for end in x.detach().aminmax())
        raise ValueError(
            f"x must lie in [{box[0]:g}, {box[1]:g}], got {low:.3g} to {high:.3g}; put normalisation inside the model, "
            "as nets.Normalise, or say box=None if x are no pictures"
        )
    eps = torch.as_tensor(eps, dtype=x.dtype, device=x.device)
    if not (torch.isfinite(eps) & (eps >= 0)).all():
        raise ValueError(
            f"eps must be finite, 0 or above, got {eps.min().item():.3g} to {eps.max().item():.3g}"
        )
    eps = eps.reshape(-1, *[1] * (x.ndim - 1)) if eps.ndim else eps
    lo, hi = x - eps, x + eps
    return (lo, hi) if box is None else (lo.clamp(*box), hi.clamp(*box))


@torch.no_grad()
def certified(
    model: nn.Module, x: Tensor, y: Tensor, *, eps: float | Tensor, box: Box = (0.0, 1.0)
) -> Tensor:
    """Which samples have class y at every point within eps in l_inf, as interval bounds prove it: (N,) booleans."""
    return (margins(model, *corners(x, eps, box), y) > 0).all(1)


@torch.no_grad()
def certified_radius(
    model: nn.Module, x: Tensor, y: Tensor, *, most: float = 1.0, box: Box = (0.0, 1.0), steps: int = 30
) -> Tensor:
    """The largest l_inf radius at most `most` that interval bounds certify, by bisection from below: (N,); 0 where none.

    Widths grow with the radius, so that whatever is certified stays so for smaller boxes.
    """
    checks.positive(most, "most")
    low, high = x.new_zeros(len(x)), x.new_full((len(x),), most)
    low = torch.where(certified(model, x, y, eps=most, box=box), high, low)
    for _ in range(steps):
        middle = (low + high) / 2
        proved = certified(model, x, y, eps=middle, box=box)
        low, high = torch.where(proved, middle, low), torch.where(proved, high, middle)
    return low


def ibp_loss(
    model: nn.Module, x: Tensor, y: Tensor, *, eps: float, kappa: float = 0.5, box: Box = (0.0, 1.0)
) -> Tensor:
    r"""kappa CE(z) + (1 - kappa) CE(z_hat), (N,): z_hat_y is the lower bound of z_y, z_hat_j the upper of each other.

    Raise eps and 1 - kappa from 0 over the training: from the start, the bounds of an untrained net drown the answers.

    Args:
        x: (N, ...). y: classes (N,).
        eps: l_inf radius, in units of x.
        kappa: weight of the plain answers, 0 to 1.

    Raises:
        ValueError, TypeError: kappa out of range, labels that do not fit, and what `ibp` and `corners` refuse.

    Source: Gowal and others 2018, arXiv 1810.12715.
    """
    if not 0 <= kappa <= 1:
        raise ValueError(f"kappa must lie in [0, 1], got {kappa}")
    y = checks.labels(y, len(x), "y").to(x.device)
    lo, hi = ibp(model, *corners(x, eps, box))
    worst = torch.where(F.one_hot(y, lo.shape[1]).bool(), lo, hi)
    plain, robust = (F.cross_entropy(z, y, reduction="none") for z in (model(x), worst))
    return kappa * plain + (1 - kappa) * robust
