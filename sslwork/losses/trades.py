"""TRADES: be right on the picture, and say the same of its neighbours."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks
from sslwork.losses.similarity import reduced


def trades(
    clean: Tensor, adversarial: Tensor, labels: Tensor, *, beta: float = 6.0, reduction: str = "mean"
) -> Tensor:
    r"""Cross entropy of the clean logits, and how far those of the attacked pictures are from them.

        L = mean_i [ CE(z_i, y_i) + beta KL(p_i || p'_i) ],   p = softmax(z), p' = softmax(z')

    Gradients flow through both arguments of the KL. The pictures x' behind z' are to *maximise* that KL within the ball:
    `robust.ascent(..., loss="kl", random_start=0.001)`. Where x' = x the second term and its gradient are 0.

    Args:
        clean, adversarial: logits z of x and z' of x', (N, K) floating point.
        labels: (N,) class indices below K.
        beta: >= 0, the price of disagreement in nats per nat: 6 for robustness, 1 for more clean accuracy, 0 is plain
            cross entropy.
        reduction: "mean" for a scalar, "none" for the (N,) values.

    Raises:
        TypeError, ValueError: not floating point, unequal shapes, NaN, labels out of range, beta < 0.

    Source: Zhang, Yu, Jiao, Xing, El Ghaoui, Jordan 2019, arXiv 1901.08573.

    >>> trades(torch.zeros(1, 2), torch.tensor([[2.0, 0.0]]), torch.tensor([0]), beta=1.0)
    tensor(1.1269)
    """
    checks.pair(clean, adversarial, ("clean", "adversarial"), rows=1)
    checks.not_negative(beta=beta)
    labels = checks.labels(labels, len(clean))
    if (top := int(labels.max())) >= clean.shape[1]:
        raise ValueError(f"labels must be below {clean.shape[1]}, the number of logits; got {top}")
    kind = torch.promote_types(torch.promote_types(clean.dtype, adversarial.dtype), torch.float32)
    log_p, log_q = (z.to(kind).log_softmax(1) for z in (clean, adversarial))
    apart = F.kl_div(log_q, log_p, log_target=True, reduction="none").sum(1)  # (N,), KL(p || p')
    return reduced(F.nll_loss(log_p, labels, reduction="none") + beta * apart, reduction)
