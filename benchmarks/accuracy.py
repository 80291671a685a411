"""Time to 60 % k-NN accuracy.

The stickers of the start notebook: 1,920 pictures of 48 drawings to learn from, 960 new throws to test on, k = 20.
Seconds of training until the probe first reads 60 %, looks not counted, the median of three seeds. Both train the same
conv net (16-32-64) with the same head in batches of 256. sslwork runs `train.fit` as it comes and looks every ten
steps. lightly runs the recipe it documents for SimCLR (https://docs.lightly.ai/examples/simclr.html: SimCLRTransform
without blur, NTXentLoss, SGD at 0.06), one worker per thread that stays, and looks after each epoch of seven steps.
"""

import math
import time

import bench
import torch
from record import Line, main
from torch import nn
from views import BATCH, loader

from sslwork import data, embed, encoders, measures, methods, train
from sslwork.panel import Panel

WANTED, K = 0.60, 20
PATIENCE = bench.size(30, 3)  # seconds
SEEDS = range(bench.size(3, 1))
LINES = [
    Line("time", "60 % k-NN accuracy on the stickers", reach={"lightly": 2.0}, limit=""),
]


def stickers():
    copies = bench.size(40, 10)
    return data.load("stickers", copies=copies), data.load("stickers", split="test", copies=copies // 2)


def model(seed: int) -> methods.SimCLR:
    return methods.SimCLR(encoders.conv(16, 3, seed=seed), seed=seed)


def sslwork(seed: int) -> float:
    pictures, test = stickers()
    panel = Panel(pictures, test, k=K)
    run = train.fit(model(seed), pictures, batch_size=BATCH, seed=seed, panel=panel, every=10, progress=False)
    return next((look["seconds"] for look in run.history if look["knn"] >= WANTED), math.inf)


def lightly(seed: int) -> float | str:
    """Seconds, or what it had reached when patience ended."""
    try:
        transform = bench.peer("lightly.transforms").SimCLRTransform(input_size=32, gaussian_blur=0.0)
    except ImportError as error:
        return f"not installed ({error.name})"
    torch.manual_seed(seed)
    pictures, test = stickers()
    method, criterion = model(seed), bench.peer("lightly.loss").NTXentLoss()
    batches = loader(pictures.images, transform, bench.THREADS, drop_last=True, persistent_workers=True)
    optimiser = torch.optim.SGD(method.parameters(), lr=0.06)
    normalised = bench.peer("lightly.transforms.utils").IMAGENET_NORMALIZE  # as the transform does
    encoder = nn.Sequential(bench.peer("torchvision.transforms").Normalize(**normalised), method.encoder)
    seconds = reached = 0.0
    while seconds < PATIENCE:
        method.train()
        started = time.perf_counter()
        for x0, x1 in batches:
            criterion(method(x0), method(x1)).backward()
            optimiser.step()
            optimiser.zero_grad()
        seconds += time.perf_counter() - started
        bank, queries = (embed(encoder, part, progress=False) for part in (pictures, test))
        reached = measures.knn(bank, pictures.labels, queries, test.labels, k=K).value
        if reached >= WANTED:
            return seconds
    return f"> {PATIENCE} s (then at {reached:.0%})"


def measure():
    found = {"sslwork": [], "lightly": []}
    for seed in SEEDS:
        for contender in (sslwork, lightly):
            found[contender.__name__].append(bench.fresh(contender, seed))
            bench.say(f"{contender.__name__}, seed {seed}: {found[contender.__name__][-1]}")
    return {"time": {name: median(values) for name, values in found.items()}}


def median(values: list[bench.Value]) -> bench.Value:
    """Of seconds; what was not reached is later than all that was."""
    return sorted(values, key=lambda value: math.inf if isinstance(value, str) else value)[len(values) // 2]


if __name__ == "__main__":
    main(__file__, __doc__, LINES, measure)
