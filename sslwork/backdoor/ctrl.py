"""CTRL: two faint frequencies in the colours of a picture."""

import numpy as np
import torch
from torch import Tensor

from sslwork.backdoor.patterns import add, checked

YUV = np.array([[0.299, 0.587, 0.114], [-0.147, -0.289, 0.436], [0.615, -0.515, -0.100]])


def ctrl_pattern(
    size: int, *, magnitude: float, window: int | None = None, frequencies: tuple[int, ...] | None = None
) -> Tensor:
    r"""What CTRL adds to a picture before clipping, (3, H, W) in units of [0, 1]; the same for every picture.

        C_c = D X_c D^T,   C_c[p, p] += m   for c in {U, V} and p in {n/2 - 1, n - 1},   X_c = D^T C_c D

    in each n x n window, on the scale 0..255. All of it is linear, so what is added is the inverse transform of m alone,
    and a clean picture stays as it is to the last bit.

    Args:
        size: H = W, pixels.
        magnitude: m >= 0, of the orthonormal DCT-II. In U and V it moves a pixel by at most 2 m / n per frequency, of 255:
            keep m / n to keep the amplitude.
        window: n, a divisor of `size`; the whole picture unless given.
        frequencies: the places p on the diagonal, 0..n - 1, each once; (n/2 - 1, n - 1) unless given.

    Raises:
        ValueError: a negative or infinite magnitude, a window that does not tile the picture, a frequency out of range.
    """
    from scipy.fft import idctn

    n = window or size
    pair = (n // 2 - 1, n - 1) if frequencies is None else frequencies
    if not 0 <= magnitude < float("inf"):
        raise ValueError(f"magnitude must be a finite number, 0 or above, got {magnitude}")
    if n < 2 or size % n:
        raise ValueError(f"window must be 2 or more and divide the side of the pictures, {size}; got {n}")
    if not all(0 <= p < n for p in pair) or len(set(pair)) < len(pair):
        raise ValueError(f"frequencies must be different and lie in 0..{n - 1}, got {pair}")
    spectrum = np.zeros((n, n))
    spectrum[list(pair), list(pair)] = magnitude
    wave = np.tile(idctn(spectrum, norm="ortho"), (size // n, size // n))  # (H, W), in U and in V
    yuv = np.stack([np.zeros_like(wave), wave, wave])
    return torch.from_numpy(np.einsum("ij,jhw->ihw", np.linalg.inv(YUV), yuv) / 255).float()  # (3, H, W)


def ctrl_trigger(
    images: Tensor, *, magnitude: float, window: int | None = None, frequencies: tuple[int, ...] | None = None
) -> Tensor:
    """Pictures with the trigger of CTRL: (N, 3, H, W) in [0, 1] -> the same, clipped. Brightness Y stays, colours move.

    Args:
        images: three channels, H = W. A grey picture has no colours to hide it in.
        magnitude, window, frequencies: see `ctrl_pattern`. The source takes 100 for 32 x 32 pixels.

    Raises:
        TypeError, ValueError: one channel, bytes, pictures that are not square; and as `ctrl_pattern`.

    Source: Li, Pang, Xi, Du, Ji, Yao, Wang 2023, arXiv 2210.07346.

    >>> grey = torch.full((1, 3, 32, 32), 0.5)
    >>> change = ctrl_trigger(grey, magnitude=100) - grey
    >>> f"{255 * change.abs().max():.0f} of 255 at most"
    '22 of 255 at most'
    """
    _, channels, height, width = checked(images).shape
    if channels != 3 or height != width:
        raise ValueError(
            f"images must have three channels and equal sides, got {tuple(images.shape)}; repeat a grey channel with "
            "images.expand(-1, 3, -1, -1)"
        )
    return add(images, ctrl_pattern(height, magnitude=magnitude, window=window, frequencies=frequencies))
