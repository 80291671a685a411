"""A zoo of small encoders and classifiers, each trained another way: once, then read from the user's cache."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from sslwork import checks, encoders, kept, nets, pretexts, robust, scale, studies, train
from sslwork.data.pictures import PictureSet
from sslwork.encoders import Encoder
from sslwork.methods import Method, SimCLR
from sslwork.views import Views

# How each kind sees the pictures unless told otherwise: a turn is the answer itself for "rotation", and "masked"
# learns from what it hides.
VIEWS = {
    "supervised": Views(),
    "simclr": Views(),
    "rotation": Views(rotate=0),
    "masked": replace(Views() * 0, crop=0.5, flip=0.5),
}
KINDS = (*VIEWS, "random")
CLASSIFIERS = ("standard", "robust", "trades")


def encoder(
    kind: str,
    pictures: PictureSet,
    *,
    seed: int = 0,
    steps: int = 250,
    width: int = 16,
    depth: int = 3,
    views: Views | None = None,
    progress: bool = True,
) -> Encoder:
    """A small convolutional encoder trained on `pictures` in one of five ways, in evaluation mode on the CPU.

    Trained by AdamW, learning rate 3e-3, batches of 128. The weights are kept in the user's cache, under everything
    that made them: kind, pictures (and labels, where they are used), settings, and the code of the training.

    Args:
        kind: "supervised" by the labels, "simclr", "rotation" (naming quarter turns), "masked" (guessing hidden
            patches), or "random", which is not trained at all.
        pictures: the training set.
        seed: of weights, batches and views.
        steps: of the optimiser.
        width, depth: see `encoders.conv`; D = width * 2 ** (depth - 1).
        views: how the pictures are changed in training; by default those of `zoo.VIEWS`.
        progress: a bar while it trains.

    Raises:
        ValueError: another kind; "supervised" without labels; pictures that the kind cannot learn from.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    net = encoders.conv(width, depth, seed=seed)
    if kind == "random":
        return net.eval()
    views = views or VIEWS[kind]

    def learn() -> None:
        method = _method(kind, net, pictures, depth, seed)
        train.fit(method, pictures, views=views, steps=steps, batch_size=128, seed=seed, progress=progress)

    labels = checks.labels(pictures.labels, len(pictures)) if kind == "supervised" else None
    settings = {"seed": seed, "steps": steps, "width": width, "depth": depth, "views": views}
    code = (encoders.conv, pretexts, SimCLR, train.fit)
    return kept.once(net, learn, _place(kind, pictures, labels, settings, code))


def classifier(
    kind: str,
    pictures: PictureSet,
    *,
    seed: int = 0,
    eps: float = 0.2,
    beta: float = 6.0,
    steps: int = 400,
    width: int = 8,
    blocks: int = 3,
    progress: bool = True,
) -> nets.Classifier:
    """A reference model to attack: `nets.small_conv` trained on the labels by `robust.fit`, in evaluation mode on the CPU.

    Adam, learning rate 2e-3, batches of 128; the radius of the ball rises over the first 30 % of the steps. Kept in the
    user's cache as `encoder` keeps its own.

    Args:
        kind: "standard"; "robust", which is PGD-AT with 5 steps; or "trades", whose attack raises the KL.
        pictures: with labels, in one channel or three.
        seed: of weights, batches and attacks.
        eps: radius of l_inf in [0, 1] pixel units, for the two that are attacked in training.
        beta: price of disagreement, for "trades".
        steps: of the optimiser.
        width, blocks: see `nets.small_conv`.
        progress: a bar while it trains.

    Raises:
        ValueError: another kind; no labels.

    Source: Madry et al. 2018, arXiv 1706.06083; Zhang et al. 2019, arXiv 1901.08573.
    """
    if kind not in CLASSIFIERS:
        raise ValueError(f"kind must be one of {', '.join(CLASSIFIERS)}; got {kind!r}")
    labels = checks.labels(pictures.labels, len(pictures))
    classes, channels = len(pictures.names) or int(labels.max()) + 1, pictures.images.shape[1]
    net = nets.small_conv(width, blocks, channels=channels, classes=classes, seed=seed)
    settings: dict[str, object] = {"seed": seed, "steps": steps, "width": width, "blocks": blocks}
    ways: dict[str, object] = {}
    if kind != "standard":
        settings["eps"] = eps
        attack = {"loss": "kl", "random_start": 0.001} if kind == "trades" else {}
        ways = {"inner": robust.ascent(eps=eps, **attack), "eps_ramp": 0.3}  # type: ignore[arg-type]
    if kind == "trades":
        settings["beta"], ways["loss"] = beta, robust.trades(beta)

    def learn() -> None:
        device = scale.current().device
        robust.fit(net.to(device), pictures, steps=steps, seed=seed, progress=progress, **ways)  # type: ignore[arg-type]

    code = (nets.small_conv, robust.fit, robust.ascent, robust.trades)
    return kept.once(net, learn, _place(kind, pictures, labels, settings, code))


def _method(kind: str, net: Encoder, pictures: PictureSet, depth: int, seed: int) -> Method:
    match kind:
        case "supervised":
            return pretexts.Supervised(net, checks.labels(pictures.labels, len(pictures)), seed=seed)
        case "rotation":
            return pretexts.Rotation(net, seed=seed)
        case "masked":
            return pretexts.Masked(net, pixels=2**depth, seed=seed)
    return SimCLR(net, seed=seed)


def _place(
    kind: str, pictures: PictureSet, labels: Tensor | None, settings: dict[str, object], code: tuple[object, ...]
) -> Path:  # fmt: skip
    """Where the weights are kept: under a name that changes with whatever made them."""
    digests = [studies.digest(inspect.getsource(part)) for part in code]  # type: ignore[arg-type]
    named = [] if labels is None else labels.tolist()
    return kept.place("zoo", kind, f"{pictures.fingerprint()} {named} {settings} {digests}")
