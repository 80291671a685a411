"""How far a share of n samples can be trusted."""

import math

Z = 1.959963984540054  # 97.5 % of a normal distribution lie below


def wilson(k: int, n: int, *, z: float = Z) -> tuple[float, float]:
    """The Wilson interval of a share k / n, 95 % by default: (low, high), within [0, 1].

        (p + z² / 2n  ±  z sqrt(p (1 - p) / n + z² / 4n²)) / (1 + z² / n)

    Args:
        k: hits, 0 to n.
        n: samples, 1 or more.
        z: deviations of the normal distribution.

    Raises:
        ValueError: k outside 0..n, no samples.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    >>> print("{:.3f} {:.3f}".format(*wilson(0, 20)))
    0.000 0.161
    """
    if n < 1 or not 0 <= k <= n:
        raise ValueError(f"k hits of n samples: 0 <= k <= n and n >= 1 wanted, got k = {k}, n = {n}")
    p = k / n
    centre, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # At 0 and n the formula is exact only up to rounding.
    low, high = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    return (0.0 if k == 0 else low), (1.0 if k == n else high)
