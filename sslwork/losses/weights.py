"""The weights of a loss's terms: 0 leaves a term out, what is below 0 or no number is refused."""

import math


def check(**weights: float) -> None:
    """A clear error unless every weight is a finite number, 0 or above.

    >>> check(variance=25.0, covariance=-1.0)
    Traceback (most recent call last):
    ValueError: covariance must be a finite number, 0 or above, got -1.0
    """
    for name, value in weights.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be a finite number, 0 or above, got {value}")
