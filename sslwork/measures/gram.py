"""X'X, added up batch by batch: the one product that costs."""

import torch
from torch import Tensor


def add_gram(total: Tensor, x: Tensor) -> Tensor:
    """The lower triangle of total + x'x, in place, for rows x (B, D) in `total`'s precision or below.

    On the CPU BLAS computes only that half; elsewhere a plain product is as good. Float32 rows are multiplied in
    float32 and added to a float64 total.
    """
    if x.device.type != "cpu":
        return total.add_(x.T @ x)
    from scipy.linalg.blas import dsyrk, ssyrk

    # Transposed, both are in the order BLAS wants, so that nothing is copied.
    if x.dtype == torch.float:
        return total.add_(torch.from_numpy(ssyrk(1.0, x.contiguous().numpy().T)).T)
    sum_ = dsyrk(1.0, x.contiguous().numpy().T, beta=1.0, c=total.numpy().T, overwrite_c=1)
    return torch.from_numpy(sum_).T
