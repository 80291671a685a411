"""One epoch of SimCLR.

10,000 pictures 32 x 32 x 3 in batches of 256, the views of `views.py`, a conv net of four layers (32-64-128-256) with
a head to 128, AdamW. "Forward + backward" is the bare network on views that are ready: no loss, no optimiser. lightly
brings its transform, a DataLoader (no workers or one per thread: its better figure) and NTXentLoss.
"""

import bench
import torch
from record import Line, main
from views import BATCH, PICTURES, like_ours, loader, pictures

from sslwork import encoders, methods, train
from sslwork.seeds import generator
from sslwork.views import Views

VIEWS = Views(crop=0.8, rotate=0, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, grey=0.2)
LINES = [
    Line(
        "time", "one epoch, 10,000 pictures", reach={"forward + backward": 0.91, "lightly": 1.15}, count=PICTURES,
        limit="Convolutions take 70 % of the time, batch norm and ReLU 17 %; views, loss and optimiser come on top.",
    ),
    Line("augmentation", "share of it spent making views", "%", limit=""),
]  # fmt: skip


def model(place) -> methods.SimCLR:
    return methods.SimCLR(encoders.conv(32, 4), dim=128).to(place)


def sslwork(images):
    method, steps = model(images.device), len(images) // BATCH
    return lambda: train.fit(
        method, images, views=VIEWS, steps=steps, batch_size=BATCH, device=images.device, progress=False
    )


def views_alone(images):
    draw = generator(0, device=images.device)
    whole = images[: len(images) // BATCH * BATCH]
    return lambda: [VIEWS.pair(batch, draw) for batch in whole.split(BATCH)][-1]


def bare(images):
    """In the precision that `fit` takes."""
    method, draw = model(images.device), generator(0, device=images.device)
    whole = images[: len(images) // BATCH * BATCH]
    ready = [VIEWS.pair(batch, draw) for batch in whole.split(BATCH)]
    half = images.is_cuda and torch.cuda.is_bf16_supported()

    def work():
        for pair in ready:
            method.zero_grad()
            with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
                outputs = tuple(method(view) for view in pair)
            sum(z.float().sum() for z in outputs).backward()

    return work


def with_lightly(images, workers):
    method, batches = model(images.device), loader(images, like_ours(), workers, drop_last=True)
    criterion = bench.peer("lightly.loss").NTXentLoss()
    optimiser = torch.optim.AdamW(method.parameters(), lr=3e-3, weight_decay=1e-4)

    def work():
        for pair in batches:
            z0, z1 = (method(view.to(images.device)) for view in pair)
            criterion(z0, z1).backward()
            optimiser.step()
            optimiser.zero_grad()

    return work


def lightly_alone(images):
    return with_lightly(images, 0)


def lightly_workers(images):
    return with_lightly(images, bench.THREADS)


CONTENDERS = {
    "sslwork": sslwork, "forward + backward": bare, "views": views_alone, "lightly, alone": lightly_alone,
    "lightly, workers": lightly_workers,
}  # fmt: skip


def measure():
    values = bench.race(pictures, CONTENDERS, bench.size(PICTURES, 512), warm=512, repeats=5)
    ours = values["sslwork"]
    return {
        "time": {
            "sslwork": ours,
            "forward + backward": values["forward + backward"],
            "lightly": bench.best(values, "lightly"),
        },
        "augmentation": {"sslwork": 100 * values["views"] / ours},
    }


if __name__ == "__main__":
    main(__file__, __doc__, LINES, measure)
