"""The attack and defence lab: change pictures, watch the answer, and never without the control."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from sslwork import attacks, backdoor, measures
from sslwork.data.pictures import PictureSet, to_float
from sslwork.embedding import embed
from sslwork.nets import Classifier
from sslwork.plots.attack_lab import Trace, watched
from sslwork.plots.ood import histograms, span
from sslwork.plots.style import Figure
from sslwork.purify import KNOWLEDGE, Filter, Guarded
from sslwork.widgets.dashboard import Dashboard
from sslwork.widgets.sliders import Sliders
from sslwork.widgets.tabbed import Tabbed

SHOWN, MAPPED, CHECKED = 10, 60, 50  # pictures below, on the map, and under the masking checks
STRONGEST = 400.0  # magnitude of a trigger
NONE, CONTROL = "none", "control: noise of equal energy"


def attack_lab(
    models: Mapping[str, Classifier],
    pictures: PictureSet,
    *,
    filters: Mapping[str, Filter] | None = None,
    encoders: Mapping[str, nn.Module] | None = None,
    coloured: tuple[PictureSet, PictureSet] | None = None,
    target: int = 0,
    scores: Mapping[str, Mapping[str, Tensor]] | None = None,
    eps: float = 0.4,
) -> Tabbed:
    """Three tabs: perturb pictures in front of a classifier and its filter; trigger a backdoor; set a detector's threshold.

    Args:
        models: name -> classifier, attacked in the first tab.
        pictures: with labels, which are attacked; about a hundred answer at once.
        filters: name -> filter that may stand in front.
        encoders: poison rate, in words -> encoder trained with it, rising, the clean one first. With it come
        coloured: the clean bank and the test pictures (in three channels, with labels) of these encoders, and
        target: the class that the backdoor calls.
        scores: detector -> side -> scores (N,), the harmless side first; more is more suspicious.
        eps: end of the slider.

    Raises:
        ValueError: no models, encoders without `coloured`, or pictures without labels.
    """
    if not models:
        raise ValueError("give at least one classifier")
    tabs: dict[str, Dashboard] = {"perturb": _perturb(models, pictures, filters or {}, eps)}
    if encoders is not None:
        if coloured is None:
            raise ValueError("encoders need coloured=(bank, test): the pictures that they are asked about")
        tabs["backdoor"] = _trigger(encoders, *coloured, target)
    if scores is not None:
        tabs["detect"] = _threshold(scores)
    return Tabbed(tabs)


def _perturb(
    models: Mapping[str, Classifier], pictures: PictureSet, filters: Mapping[str, Filter], end: float
) -> Sliders:
    x, y = to_float(pictures.images), _labels(pictures)
    side = x[0].numel() ** 0.5  # an l2 ball of this length holds the energy of all pixels changed by 1
    traces: dict[tuple[str, ...], dict[float, tuple[int, int]]] = {}

    def behind(model: str, filter: str, attacker: str = "adaptive") -> nn.Module:
        return models[model] if filter == NONE else Guarded(models[model], filters[filter], attacker)

    def hits(net: nn.Module, images: Tensor) -> tuple[int, int]:
        return int(attacks.right(net, images, y).sum()), len(y)

    @lru_cache(maxsize=32)
    def attacked(
        model: str, attack: str, norm: str, eps: float, filter: str, attacker: str
    ) -> dict[str, Tensor]:
        strength: dict[str, Any] = {"norm": norm, "eps": eps if norm == "linf" else side * eps}
        net = behind(model, filter, attacker)
        if attack == "FGSM":
            found = attacks.fgsm(net, x, y, **strength)
        else:
            found = attacks.pgd(net, x, y, n_iter=10, **strength)
        return {f"{attack}, {norm}": found, CONTROL: attacks.equal_noise(x, found)}

    @cache
    def checks(model: str, filter: str, norm: str) -> str:
        told = attacks.masking_report(
            behind(model, filter), x[:CHECKED], y[:CHECKED], norm=norm, n_iter=10,
            eps=(1 if norm == "linf" else side) * end / 4,
            other=next((net for name, net in models.items() if name != model), None),
            adaptive="PGD" if filter == NONE else "PGD through the filter's soft form",
        )  # fmt: skip
        failed = told.index[~told["passed"].astype(bool)].tolist()
        judged = f"failed: {'; '.join(failed)}" if failed else "all nine passed"
        return f"Masking checks ({len(x[:CHECKED])} pictures, eps {end / 4:g}): {judged}."

    def draw(
        model: str, attack: str, norm: str, eps: float, filter: str, attacker: str, control: bool
    ) -> tuple[Figure, str]:
        bare = filter == NONE
        attacker = (
            "adaptive" if bare else attacker
        )  # nothing stands in front: whoever knows the network knows all
        arms = attacked(model, attack, norm, eps, filter, attacker)
        shown: dict[str, Trace] = {}
        for name, changed in arms.items():
            trace = traces.setdefault(
                (model, attack, norm, filter, attacker, name), {0.0: hits(behind(model, filter), x)}
            )
            trace[eps] = hits(behind(model, filter), changed)
            shown[name] = trace
        pictured = list(arms.values())[control]
        before, after = (
            _rows(models[model], each if bare else filters[filter](each))
            for each in (x[:MAPPED], pictured[:MAPPED])
        )
        fig = watched(
            shown, eps, before, after, y[:MAPPED], x[:SHOWN], pictured[:SHOWN],
            end=end, up="right answers",
            across="eps, pixel values" if norm == "linf" else "eps, root mean square of pixel values",
        )  # fmt: skip
        where, whom = ("", "") if bare else (f" behind {filter}", f", attacker {attacker}")
        said = [
            f"{name}{where}{'' if name == CONTROL else whom}: {_share(trace[eps])} right"
            for name, trace in shown.items()
        ]
        warn = "" if attacker == "adaptive" else " The number to quote is the adaptive one."
        idle = " Nothing stands in front: every attacker knows all." if bare else ""
        return fig, f"{'; '.join(said)}. {checks(model, filter, norm)}{warn}{idle}"

    return Sliders(
        draw, model=list(models), attack=["PGD", "FGSM"], norm=["linf", "l2"], eps=(0.0, end, end / 4),
        filter=[NONE, *filters], attacker=list(KNOWLEDGE), control=False,
    )  # fmt: skip


def _trigger(encoders: Mapping[str, nn.Module], bank: PictureSet, test: PictureSet, target: int) -> Sliders:
    others = test[test.labels != target]  # type: ignore[index]
    x, y = to_float(others.images), _labels(others)
    known = {name: embed(net, bank, progress=False) for name, net in encoders.items()}
    half = x.shape[-1] // 2
    pairs = {f"{p}, {q}": (p, q) for p, q in ((1, 2), (half // 2, half), (half - 1, 2 * half - 1))}
    traces: dict[tuple[str, ...], dict[float, tuple[int, int]]] = {}
    clean = next(iter(encoders))

    def calls(rate: str, images: Tensor) -> tuple[Tensor, Tensor]:
        """Rows, centred by the clean bank, and which pictures their neighbours call the target."""
        mean = known[rate].mean(0)
        rows = embed(encoders[rate], images, progress=False) - mean
        votes = measures.knn(known[rate] - mean, _labels(bank), rows, torch.zeros(len(rows)).long(), k=20)
        return rows, votes.predictions == target

    still = {name: calls(name, x) for name in encoders}

    def draw(rate: str, magnitude: float, frequencies: str, noise: bool) -> tuple[Figure, str]:
        pattern = backdoor.ctrl_pattern(x.shape[-1], magnitude=magnitude, frequencies=pairs[frequencies])
        if noise:
            change: Callable[[Tensor], Tensor] = partial(backdoor.noise_trigger, like=pattern)
        else:
            change = partial(backdoor.add, pattern=pattern)
        changed, what = change(x), "noise of equal energy" if noise else "trigger"
        names = {rate: f"{what}, poison {rate}", clean: f"control: {what}, clean-trained"}
        shown: dict[str, Trace] = {}
        rows = still[rate][0]
        for name, label in names.items():
            now, hit = calls(name, changed)
            rows = now if name == rate else rows
            trace = traces.setdefault((name, frequencies, what), {0.0: (int(still[name][1].sum()), len(y))})
            trace[magnitude] = int(hit.sum()), len(y)
            shown[label] = trace
        fig = watched(
            shown, magnitude, still[rate][0][:MAPPED], rows[:MAPPED], y[:MAPPED], x[:SHOWN], changed[:SHOWN],
            across="magnitude of the trigger", end=STRONGEST, up=f"called class {target}",
        )  # fmt: skip
        said = "; ".join(f"{label}: {_share(trace[magnitude])}" for label, trace in shown.items())
        return (
            fig,
            f"Pictures of other classes called {target}. {said}; with no trigger {_share(shown[names[rate]][0.0])}.",
        )

    return Sliders(
        draw,
        rate=tuple(encoders),
        magnitude=(0.0, STRONGEST, 200.0),
        frequencies=tuple(pairs),
        noise=False,
    )


def _threshold(scores: Mapping[str, Mapping[str, Tensor]]) -> Sliders:
    def draw(detector: str, threshold: float) -> tuple[Figure, str]:
        sides = scores[detector]
        low, high = span(sides)
        at = low + threshold * (high - low)
        found = {name: (int((each > at).sum()), len(each)) for name, each in sides.items()}
        said = "; ".join(f"{name}: {_share(each)}" for name, each in found.items())
        return histograms(sides, threshold=at, label=detector), f"Flagged above {at:.3g}. {said}."

    return Sliders(draw, detector=list(scores), threshold=(0.0, 1.0, 0.5))


@torch.no_grad()
def _rows(net: Classifier, pictures: Tensor) -> Tensor:
    return net.features(pictures)


def _labels(pictures: PictureSet) -> Tensor:
    if pictures.labels is None:
        raise ValueError("these pictures have no labels: nobody can say which answer is right")
    return pictures.labels


def _share(hits: tuple[int, int]) -> str:
    low, high = attacks.wilson(*hits)
    return f"{hits[0] / hits[1]:.0%} ({low:.0%} to {high:.0%})"
