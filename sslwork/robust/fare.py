"""FARE: an encoder fine-tuned without labels, so that small changes of a picture no longer move its row."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import attacks
from sslwork.data.pictures import PictureSet
from sslwork.encoders import Encoder
from sslwork.robust.fit import fit


def fare(
    encoder: Encoder, pictures: PictureSet, *, eps: float, n_iter: int = 3, steps: int = 150, lr: float = 1e-3, seed: int = 0
) -> Encoder:  # fmt: skip
    """A copy of the encoder, trained so that no small change takes a row from where the original had it.

        min over theta of mean_i max over |d| <= eps of 1 - cos(E(x_i + d), E_0(x_i))

    The target is the row of the original E_0, which stays as it is: rows that are all alike are no way out.

    Args:
        encoder: left as it is.
        pictures: grey ones are repeated to three channels. Their labels are not looked at, but `robust.fit` wants some.
        eps: radius (l_inf) in pixel values.
        n_iter: steps of PGD from a random start.
        steps, lr, seed: see `robust.fit`.

    Source: Schlarmann, Singh, Croce, Hein 2024, arXiv 2402.12336 (there the squared distance, CLIP, eps 2/255 and 4/255).
    """
    tuned = copy.deepcopy(encoder)

    def target(x: Tensor) -> Tensor:
        with torch.no_grad():
            return encoder(x.expand(-1, 3, -1, -1))

    def away(at: Tensor, rows: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(tuned(at.expand(-1, 3, -1, -1)), rows, dim=1)

    def worst(model: nn.Module, x: Tensor, y: Tensor, draw: torch.Generator) -> Tensor:
        return attacks.pgd(None, x, target(x), eps=eps, n_iter=n_iter, loss=away, keep_best=False, seed=draw)

    def loss(model: nn.Module, x: Tensor, at: Tensor, y: Tensor) -> Tensor:
        return away(at, target(x))

    fit(tuned, pictures, inner=worst, loss=loss, steps=steps, lr=lr, seed=seed, progress=False)
    return tuned
