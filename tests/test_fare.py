"""FARE: rows that stay where they were, and an original that is not touched."""

import torch
import torch.nn.functional as F

from sslwork import attacks, encoders
from sslwork.data.pictures import PictureSet, to_float
from sslwork.robust.fare import fare
from sslwork.seeds import generator


def test_rows_move_less_and_the_original_stays():
    images = torch.rand(64, 1, 8, 8, generator=generator(0))
    pictures = PictureSet(images, torch.zeros(64, dtype=torch.long))
    encoder = encoders.conv(8, 2)
    for _ in range(50):  # its batch norms come to know the pictures
        encoder(to_float(images).expand(-1, 3, -1, -1))
    encoder.eval()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    tuned = fare(encoder, pictures, eps=0.1, steps=40, lr=3e-3)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    x = to_float(pictures.images).expand(-1, 3, -1, -1)
    with torch.no_grad():
        rows = encoder(x)

    def moved(net):
        def away(at, y):
            return 1 - F.cosine_similarity(net(at), y)

        return float(away(attacks.pgd(None, x, rows, eps=0.1, n_iter=5, loss=away), rows).mean())

    assert not tuned.training
    assert moved(tuned) < moved(encoder)
    with torch.no_grad():
        assert tuned(x).std(0).mean() > 0.1 * rows.std(0).mean()  # no collapse
