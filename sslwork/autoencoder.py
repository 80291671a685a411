"""A denoising auto-encoder: its code is where the first pseudo-labels come from."""

import itertools
from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import train
from sslwork.data.pictures import PictureSet, to_float
from sslwork.encoders import Encoder
from sslwork.methods import Batch, Method
from sslwork.seeds import seeded
from sslwork.views import Views

WIDTHS = (32, 64, 128)


class DenoisingAutoencoder(Method):
    """Restores pictures from noisy ones: three convolutions down, each halving the picture, and three up again.

    loss = mean over pixels of (restored - clean)^2. The code, `encoder(images)`, is the mean over the places of the
    smallest map, (N, 128).

    Args:
        seed: of the initial weights.

    Raises:
        ValueError: pictures whose sides are no multiples of 8.

    Source: Chakraborty, Gosthipaty, Paul 2020, arXiv 2009.12007; the idea: Vincent, Larochelle, Bengio, Manzagol 2008.
    """

    n_views = 1  # the noisy picture

    def __init__(self, *, seed: int = 0) -> None:
        with seeded(seed):
            down = [
                part
                for pair in itertools.pairwise((3, *WIDTHS))
                for part in (*_layer(*pair), nn.MaxPool2d(2))
            ]
            up = [
                part
                for a in WIDTHS[::-1]
                for part in (nn.Upsample(scale_factor=2), *_layer(a, max(a // 2, WIDTHS[0])))
            ]
            up += [nn.Conv2d(WIDTHS[0], 3, 3, padding=1), nn.Sigmoid()]
        net = nn.Sequential(*down, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        super().__init__(Encoder(net, WIDTHS[-1]), nn.Sequential(*up))

    def forward(self, images: Tensor) -> Tensor:
        """The restored pictures: (N, 3, H, W) -> the same."""
        if images.ndim != 4 or images.shape[2] % 8 or images.shape[3] % 8:
            raise ValueError(
                f"images must have sides that are multiples of 8, got shape {tuple(images.shape)}"
            )
        return self.head(self.encoder.net[:-2](images))

    def outputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """The restored pictures and the clean ones, one row each."""
        (noisy,), images = batch.views, batch.images
        clean = to_float(images[batch.rows.to(images.device)].to(noisy.device)).expand_as(noisy)
        return self(noisy).flatten(1), clean.flatten(1)

    def loss(self, *outputs: Tensor) -> Tensor:
        restored, clean = outputs
        return F.mse_loss(restored, clean)


def _layer(a: int, b: int) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]


def fit(
    pictures: PictureSet,
    *,
    noise: float = 0.01,
    steps: int = 200,
    batch_size: int = 64,
    lr: float = 1e-3,
    seed: int = 0,
) -> DenoisingAutoencoder:
    """Train one on `pictures` with Gaussian noise of deviation `noise` on them, by Adam.

    Its codes: `embed(model.encoder, pictures)`. (The paper stops early; here the steps are few, and the rate falls to 0.)
    """
    only_noise = replace(Views() * 0, noise=noise)
    model = DenoisingAutoencoder(seed=seed)
    train.fit(model, pictures, views=only_noise, steps=steps, batch_size=batch_size, lr=lr, weight_decay=0, seed=seed,
              progress=False)  # fmt: skip
    return model
