"""Views of pictures.

Two SimCLR views of 10,000 pictures 32 x 32 x 3: crop to a fifth of the area at least, mirror, jitter of brightness,
contrast and saturation by 0.4 and of hue by 0.1 (always applied), a fifth made grey, no blur. lightly's transform
takes PIL pictures from memory, one by one, in a DataLoader with no workers or with one per thread: its better figure
stands here. kornia and sslwork take batches of 256.
"""

import sys

import bench
import torch
from record import Line, main
from torch import Tensor
from torch.utils.data import DataLoader

PICTURES = 10_000
BATCH = 256
LINES = [
    Line(
        "time",
        "two views of 10,000 pictures",
        reach={"lightly": 8.0, "kornia": 1.3},
        count=PICTURES,
        limit="Resampling (grid_sample) takes 56 % of the time, the rest passes over the pixels.",
    ),
]


def pictures(n: int) -> Tensor:
    images = torch.randint(
        0, 256, (n, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    return images.to(bench.device())


def sslwork(images):
    from sslwork.seeds import generator
    from sslwork.views import Views

    views = Views(crop=0.8, rotate=0, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, grey=0.2)
    draw = generator(0, device=images.device)
    return lambda: [views.pair(batch, draw) for batch in images.split(BATCH)][-1]


def kornia(images):
    augment = bench.peer("kornia.augmentation")
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device)
    view = augment.AugmentationSequential(
        augment.RandomResizedCrop((32, 32), scale=(0.2, 1.0)),
        augment.RandomHorizontalFlip(),
        augment.ColorJitter(0.4, 0.4, 0.4, 0.1, p=1.0),
        augment.RandomGrayscale(rgb_weights=weights, p=0.2),
    )

    def work():
        for batch in images.split(BATCH):
            batch = batch.float() / 255
            pair = view(batch), view(batch)
        return pair

    return work


def like_ours():
    """lightly's transform at the strengths above."""
    return bench.peer("lightly.transforms").SimCLRTransform(
        input_size=32, cj_prob=1.0, cj_strength=0.5, min_scale=0.2, gaussian_blur=0.0, normalize=None
    )


def loader(images: Tensor, transform, workers: int, **options) -> DataLoader:
    """Batches of transformed PIL pictures, which are in memory."""
    from PIL import Image

    # Forked workers start at once; without a word they would be as fresh as this process.
    start = "fork" if workers and sys.platform == "linux" else None
    drawn = [Image.fromarray(pixels.numpy()) for pixels in images.cpu().permute(0, 2, 3, 1)]
    return DataLoader(
        Transformed(drawn, transform), BATCH, shuffle=True, num_workers=workers, multiprocessing_context=start,
        **options,
    )  # fmt: skip


class Transformed(torch.utils.data.Dataset):
    def __init__(self, drawn, transform):
        self.drawn, self.transform = drawn, transform

    def __len__(self):
        return len(self.drawn)

    def __getitem__(self, i):
        return self.transform(self.drawn[i])


def lightly_alone(images):
    return through(loader(images, like_ours(), 0), images.device)


def lightly_workers(images):
    return through(loader(images, like_ours(), bench.THREADS), images.device)


def through(batches, place):
    return lambda: [[view.to(place) for view in pair] for pair in batches][-1]


CONTENDERS = {
    "sslwork": sslwork, "lightly, alone": lightly_alone, "lightly, workers": lightly_workers, "kornia": kornia,
}  # fmt: skip


def measure():
    values = bench.race(pictures, CONTENDERS, bench.size(PICTURES, 512), warm=512)
    return {
        "time": {
            "sslwork": values["sslwork"], "lightly": bench.best(values, "lightly"), "kornia": values["kornia"]
        }
    }  # fmt: skip


if __name__ == "__main__":
    main(__file__, __doc__, LINES, measure)
