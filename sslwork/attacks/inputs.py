"""What an attack cannot work on, said plainly."""

import math

from torch import Tensor

from sslwork import checks
from sslwork.attacks import norms


def checked(x: Tensor, norm: str, eps: float, box: tuple[float, float] | None) -> Tensor:
    """`x` without its history, if it is finite, floating point and within the box, and `eps` a radius."""
    norms.check_norm(norm)
    checks.not_negative(eps=eps)
    if not isinstance(x, Tensor) or not x.is_floating_point():
        what = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x must be a floating-point tensor, got {what}; use sslwork.data.to_float(images)")
    if x.ndim < 2 or (norm == "l2 per token" and x.ndim != 3):
        wanted = "(N, T, d)" if norm == "l2 per token" else "(N, ...)"
        raise ValueError(f"x must have shape {wanted}, got {tuple(x.shape)}")
    if len(x) == 0:
        return x.detach()
    low, high = (float(end) for end in x.detach().aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("x holds NaN or infinity; look at torch.isfinite(x).flatten(1).all(1)")
    if box is not None and (low < box[0] or high > box[1]):
        raise ValueError(
            f"x must lie in [{box[0]:g}, {box[1]:g}], got {low:.3g} to {high:.3g}; put normalisation inside the model, "
            "as nets.Normalise, or say box=None if x are no pictures"
        )
    return x.detach()


def doublings(size: int) -> int:
    """How often a map of 4 x 4 has to be doubled for a picture of `size` x `size`: size = 4 * 2^n, in pixels.

    Raises:
        ValueError: another size.
    """
    times = size.bit_length() - 3
    if times < 0 or size != 4 << times:
        raise ValueError(f"size must be 4 times a power of two, got {size}; resize the pictures")
    return times


def whole(**counts: int) -> None:
    """A clear error unless each of these is a whole number above 0."""
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} must be a whole number above 0, got {count!r}")
