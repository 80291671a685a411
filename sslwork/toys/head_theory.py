"""What a linear projection head does to each feature: the closed form, its way through time, and gradient descent.

The input is x = sum_i a_i e_i of independent features with variance sigma_i^2; in a second view of the same picture
feature i keeps the correlation alpha_i (0: the views destroy it). Linear layers W_1 ... W_m are trained from a small
balanced start; M = W_m ... W_1 is their product. y = W_1 x stands before the head, z = M x after it.
"""

import functools
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from sslwork import checks
from sslwork.seeds import generator


def feature_weights(
    alpha: Sequence[float] | Tensor,
    variance: Sequence[float] | Tensor,
    *,
    layer: int,
    layers: int = 2,
    outputs: int | None = None,
) -> Tensor:
    """How much of each feature is left behind layer l of m, when training has ended: its weight there.

        weight_i = alpha_i^(l / 2m) sigma_i^(1 - l / m),   0 for all but the `outputs` features of largest alpha

    Training gives the whole net the gain s_i = sqrt(alpha_i) / sigma_i, and balanced layers share it evenly, s_i^(1/m)
    each; the weight is the gain so far times sigma_i. With two layers alpha^(1/4) sigma^(1/2) stands before the head,
    alpha^(1/2) after it.

    Args:
        alpha: correlation between two views, (d,), each in 0..1.
        variance: sigma^2 in the input, (d,), each above 0.
        layer: l, 0 (the input) to m (after the head).
        layers: m, encoder and head together.
        outputs: width p of the last layer; d unless given. Of equal alphas the first ones stay.

    Returns:
        (d,) float64.

    Raises:
        TypeError, ValueError: alpha or variance out of range or of unequal length, no such layer, outputs not in 1..d.

    Source: Xue, Gan, Ni, Joshi, Mirzasoleiman 2024, arXiv 2403.11391; the formula for this model derived here.

    >>> feature_weights([1, 0.64], [1, 1], layer=2)
    tensor([1.0000, 0.8000], dtype=torch.float64)
    >>> feature_weights([1, 1], [4, 0.25], layer=1)
    tensor([1.4142, 0.7071], dtype=torch.float64)
    """
    a, v, p = _features(alpha, variance, outputs)
    if not 0 <= layer <= layers or layers < 1:
        raise ValueError(f"layer must lie in 0..layers, layers be at least 1; got {layer} of {layers}")
    weights = a ** (layer / (2 * layers)) * v.sqrt() ** (1 - layer / layers)
    if layer:
        weights[a.argsort(descending=True, stable=True)[p:]] = 0
    return weights


def flow(
    alpha: Sequence[float] | Tensor, variance: Sequence[float] | Tensor, times: Tensor, *, init: float = 0.3
) -> Tensor:
    """Two layers on their way: the gain w_i of the first layer along each feature, under gradient flow.

        dw/dt = 4 alpha sigma^2 w^3 - 4 sigma^4 w^7,   w(0) = init

    The weight before the head is sigma w, after it sigma w^2. A feature leaves its start after about
    1 / (8 alpha sigma^2 init^2); one with alpha = 0 decays only as (init^-6 + 24 sigma^4 t)^(-1/6).

    Args:
        alpha, variance: (d,), as for `feature_weights`.
        times: (T,) from 0 on, growing; a step of gradient descent takes its learning rate of time.
        init: > 0.

    Returns:
        (T, d) float64.

    >>> w = flow([1.0, 0.0], [1.0, 1.0], torch.tensor([0.0, 150.0]))
    >>> print(w[1])
    tensor([1.0000, 0.2421], dtype=torch.float64)
    """
    from scipy.integrate import solve_ivp

    a, v, _ = _features(alpha, variance, None)
    checks.positive(init, "init")
    if times.ndim != 1 or len(times) == 0 or times[0] < 0 or bool((times.diff() <= 0).any()):
        raise ValueError("times must be a growing list (T,) from 0 on")
    start = torch.full_like(a, init).numpy()
    rate, brake = 4 * (a * v).numpy(), 4 * v.square().numpy()
    solution = solve_ivp(
        lambda _, w: rate * w**3 - brake * w**7,
        (0, float(times[-1]) or 1.0),
        start,
        method="LSODA",  # stiff once the strong features stand still
        t_eval=times.double().numpy(),
        rtol=1e-8,
        atol=1e-12,
    )
    return torch.from_numpy(solution.y.T.copy())


def spectral_loss(product: Tensor, alpha: Tensor, variance: Tensor) -> Tensor:
    """The spectral contrastive loss of z = M x, in expectation over the data; at its best -sum alpha_i^2.

        L = -2 E <z, z+> + E <z, z'>^2 = -2 tr(M C M^T) + tr((M S M^T)^2),   C = diag(alpha sigma^2), S = diag(sigma^2)

    Args:
        product: M, (p, d).
        alpha, variance: (d,).

    Source: HaoChen, Wei, Gaidon, Ma 2021, arXiv 2106.04156.
    """
    kept = (product.square() * (alpha * variance)).sum()
    return -2 * kept + ((product * variance) @ product.T).square().sum()


def descend(
    alpha: Sequence[float] | Tensor,
    variance: Sequence[float] | Tensor,
    *,
    layers: int = 2,
    outputs: int | None = None,
    head: Tensor | None = None,
    steps: int = 3000,
    lr: float = 0.05,
    weight_decay: float = 0.0,
    init: float = 0.3,
    seed: int = 0,
) -> list[Tensor]:
    """Train the layers by plain gradient descent on `spectral_loss`, from a small balanced start.

    W_l = init B_l^T B_(l-1) with random B of orthonormal rows, so that W_l W_l^T = W_(l+1)^T W_(l+1), which gradient
    flow keeps; then the weights found are those of `feature_weights`.

    Args:
        alpha, variance, layers, outputs: as for `feature_weights`.
        head: a fixed last layer (p, d): `torch.eye(d)` is no head, a falling diagonal re-weights. The others train.
        steps, lr: a rate of 0.05 suits variances up to 1, 0.02 up to 4. A larger one may converge and still
            lose the balance on its way, and with it the closed form.
        weight_decay: subtracts lr * weight_decay * W in each step.
        init: size of the start; the way out of it takes as long as `flow` says.
        seed: of the start.

    Returns:
        W_1 ... W_m, float64.

    Raises:
        FloatingPointError: the rate was too large.
    """
    a, v, p = _features(alpha, variance, outputs)
    d, draw = len(a), generator(seed)
    p = p if head is None else len(head)
    random = [torch.randn(d, p, generator=draw, dtype=torch.double) for _ in range(layers)]
    bases = [torch.linalg.qr(each).Q.T for each in random]  # (p, d) each, B_0 ... B_(m-1)
    # (d, d) for all but the last, which is (p, d)
    weights = [init * after.T @ before for before, after in itertools.pairwise(bases)] + [init * bases[-1]]
    fixed = [] if head is None else [head.double()]
    weights = weights[: layers - len(fixed)]
    for _ in range(steps):
        weights = [w.detach().requires_grad_() for w in weights]
        product = functools.reduce(lambda x, w: w @ x, [*weights, *fixed])
        slopes = torch.autograd.grad(spectral_loss(product, a, v), weights)
        weights = [w - lr * (g + weight_decay * w) for w, g in zip(weights, slopes, strict=True)]
    weights = [w.detach() for w in weights]
    if not all(bool(torch.isfinite(w).all()) for w in weights):
        raise FloatingPointError(f"gradient descent diverged at lr={lr}: lower it")
    return weights + fixed


def measured_weights(weights: Sequence[Tensor], variance: Sequence[float] | Tensor, *, layer: int) -> Tensor:
    """The weight of each feature behind `layer` of these matrices W_1 ... W_m: |W_l ... W_1 e_i| sigma_i, (d,)."""
    if not 0 <= layer <= len(weights):
        raise ValueError(f"layer must lie in 0..{len(weights)}, got {layer}")
    sigma = torch.as_tensor(variance, dtype=torch.double).sqrt()
    product = functools.reduce(lambda x, w: w @ x, weights[:layer], torch.eye(len(sigma)).double())
    return product.norm(dim=0) * sigma


def _features(
    alpha: Sequence[float] | Tensor, variance: Sequence[float] | Tensor, outputs: int | None
) -> tuple[Tensor, Tensor, int]:
    a, v = (torch.as_tensor(each, dtype=torch.double) for each in (alpha, variance))
    if a.ndim != 1 or a.shape != v.shape or len(a) == 0:
        raise ValueError(
            f"alpha and variance must be lists with one number per feature, got {tuple(a.shape)} and {tuple(v.shape)}"
        )
    if not bool(((a >= 0) & (a <= 1)).all()):
        raise ValueError(f"alpha must lie in 0..1, got {a.tolist()}")
    if not bool(((v > 0) & v.isfinite()).all()):
        raise ValueError(f"variance must be above 0, got {v.tolist()}")
    p = len(a) if outputs is None else outputs
    if not 1 <= p <= len(a):
        raise ValueError(f"outputs must lie in 1..{len(a)}, the number of features; got {p}")
    return a, v, p
