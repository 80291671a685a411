"""What contrastive losses are made of: rows of length one, their similarities, and the log-sum-exp of these."""

from typing import Any

import torch
from torch import Tensor

from sslwork import checks

# Similarities held at once. A block of so many stays near the cache (16 MB), and a GPU is kept busy by it.
_BLOCK = 2**22


def unit(z: Tensor) -> Tensor:
    """Rows scaled to length one, (N, D), in float32 at least: half precision is too coarse to be divided by 0.1.

    Raises:
        ValueError: a row whose square overflows; scaled, it would be zeros.
    """
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    length = z.norm(dim=1, keepdim=True)  # (N, 1)
    if length.isinf().any():
        row = int(length.isinf().flatten().nonzero()[0])
        raise ValueError(f"row {row} is too long to be squared in {z.dtype}; lower the learning rate")
    return z / length.clamp_min(1e-12)


def similarities(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of rows, (..., N, D) and (..., M, D) -> (..., N, M), in the finer of the two precisions."""
    kind = torch.promote_types(a.dtype, b.dtype)
    with torch.autocast(a.device.type, enabled=False):  # it would cut them to half
        return a.to(kind) @ b.to(kind).mT


def logsumexp(
    rows: Tensor,
    columns: Tensor | None = None,
    *,
    temperature: float | Tensor = 1.0,
    exclude: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    r"""The softmax denominators of contrastive losses: out_i = log sum_j exp(rows_i.columns_j / temperature), (N,).

    Walks over blocks of rows, forward and again backward: no more than a block of the (N, M) similarities is held. With
    P the softmax of each row and g the gradient of the output, those of the inputs are g P columns / temperature and
    (g P)' rows / temperature.

    Args:
        rows: (N, D) floating point.
        columns: (M, D); without them, the rows are compared among themselves, each with all others.
        temperature: > 0; a tensor gets a gradient. Of one element, or (N, 1) where columns are given.
        exclude: keys of the rows (N,) and of the columns (M,), whole numbers: where they are equal, the pair is left
            out of the sum.

    Raises:
        ValueError: temperature <= 0, unequal widths, a row with no column left, NaN or infinity.
        NotImplementedError: a second derivative is asked for.

    >>> eye = torch.eye(3)
    >>> logsumexp(eye), logsumexp(eye, exclude=(torch.tensor([0, 0, 1]),) * 2)
    (tensor([0.6931, 0.6931, 0.6931]), tensor([0.0000, 0.0000, 0.6931]))
    """
    for end in torch.as_tensor(temperature).detach().aminmax():
        checks.positive(end.item(), "temperature")
    among = columns is None
    if columns is None:
        if isinstance(temperature, Tensor) and temperature.numel() > 1:
            raise ValueError(
                "rows among themselves share one temperature; for one per row, give columns and exclude"
            )
        rows = columns = rows * temperature**-0.5  # half on either side: similarities stay symmetric
    else:
        rows = rows / temperature
    if rows.shape[1] != columns.shape[1] or 0 in (len(rows), len(columns)):
        shapes = f"{tuple(rows.shape)} and {tuple(columns.shape)}"
        raise ValueError(f"rows and columns must be of one width and not empty, got {shapes}")
    kind = torch.promote_types(rows.dtype, columns.dtype)
    rows, columns = rows.to(kind), columns.to(kind)
    with torch.autocast(rows.device.type, enabled=False):
        out = _LogSumExp.apply(rows, columns, *(exclude or (None, None)), among)
    if not torch.isfinite(out).all():
        row = int((~torch.isfinite(out)).nonzero()[0])
        if out[row] == -torch.inf:
            raise ValueError(f"row {row} has no column left to be compared with")
        raise ValueError(f"row {row} meets NaN or infinity; check the embeddings")
    return out


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """The losses of all anchors: "mean" for a scalar, "none" for all of them; else a clear error."""
    if reduction not in ("mean", "none"):
        raise ValueError(f'reduction must be "mean" or "none", got {reduction!r}')
    return losses.mean() if reduction == "mean" else losses


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, columns: Tensor, keys: Tensor | None, others: Tensor | None, among: bool
    ) -> Tensor:
        out = rows.new_full((len(rows),), -torch.inf)
        p = None
        for part in _blocks(rows, columns):
            logits = _logits(rows, columns, keys, others, among, part)
            top = logits.amax(1)
            p = torch.softmax(logits, 1, out=logits)  # in place: 16 MB less to claim
            # The largest entry of a softmax row is 1 / sum_j exp(logits_j - top): never zero, whatever underflows.
            out[part] = torch.where(top > -torch.inf, top - p.amax(1).log(), top)
        ctx.among = among
        ctx.mutual = among and keys is others and bool(out.amax() - out.amin() < 64)  # see backward
        # One block is kept for the way back; of several, each is computed anew.
        kept = p if len(rows) * len(columns) <= _BLOCK else None
        ctx.save_for_backward(rows, columns, keys, others, out, kept)
        return out

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        # once_differentiable would drop this part in silence where g is a constant.
        if torch.is_grad_enabled():
            raise NotImplementedError("logsumexp has no second derivative: leave out create_graph")
        rows, columns, keys, others, out, kept = ctx.saved_tensors
        for_rows, for_columns = (torch.zeros_like(x) for x in (rows, columns))
        # Among themselves P_ji = P_ij e_i / e_j, with e = exp(out): one product then does for (g P + (g P)') columns.
        # Where outputs lie so far apart that P_ij may vanish and P_ji not, both products are made.
        e = (out - (out.amax() + out.amin()) / 2).exp()
        for part in _blocks(rows, columns):
            p = kept
            if p is None:
                p = _logits(rows, columns, keys, others, ctx.among, part)
                torch.softmax(p, 1, out=p)
            if ctx.mutual:
                both = (g / e)[part, None] + g / e
                for_rows[part] = e[part, None] * (both.mul_(p) @ columns)
            else:
                for_rows[part] = g[part, None] * (p @ columns)
                if ctx.needs_input_grad[1]:
                    for_columns.addmm_(p.T, g[part, None] * rows[part])
        return for_rows, for_columns, None, None, None


def _blocks(rows: Tensor, columns: Tensor) -> list[slice]:
    step = max(1, _BLOCK // max(1, len(columns)))
    return [slice(start, start + step) for start in range(0, len(rows), step)]


def _logits(
    rows: Tensor, columns: Tensor, keys: Tensor | None, others: Tensor | None, among: bool, part: slice
) -> Tensor:
    """One block of similarities, (block, M), with -inf where a pair is left out."""
    logits = rows[part] @ columns.T
    if among:
        logits.diagonal(part.start).fill_(-torch.inf)
    if keys is not None and others is not None:
        logits.masked_fill_(keys[part, None] == others, -torch.inf)
    return logits
