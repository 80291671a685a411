"""What a backdoor does, in one row: never without its base rate and its clean control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sslwork import checks
from sslwork.attacks.intervals import wilson
from sslwork.backdoor.poison import Trigger
from sslwork.data.pictures import PictureSet, to_float

if TYPE_CHECKING:
    import pandas as pd

Predict = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Share:
    """k of n, with its 95 % Wilson interval."""

    k: int
    n: int

    @classmethod
    def of(cls, hits: Tensor) -> Share:
        return cls(int(hits.sum()), len(hits))

    @property
    def value(self) -> float:
        return self.k / self.n

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.k, self.n)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2f} ({low:.2f} to {high:.2f})"


@dataclass(frozen=True)
class Report:
    """Shares of the test pictures; the last five are of pictures of classes other than the target t.

    Args:
        ca, control_ca: clean accuracy of the model and of one trained on clean data.
        asr: with the trigger, called t.
        base: without the trigger, called t.
        control: with the trigger, called t by the clean-trained model: the trigger as mere noise.
        control_base: without the trigger, by the clean-trained model.
        others: pictures counted in these.
    """

    ca: Share
    asr: Share
    base: Share
    control_ca: Share
    control: Share
    control_base: Share

    @property
    def others(self) -> int:
        return self.asr.n

    @property
    def gain(self) -> float:
        """ASR less that of the clean-trained model: the only part that counts as a result."""
        return self.asr.value - self.control.value

    @property
    def row(self) -> dict[str, float]:
        """Plain numbers, to be recorded."""
        return {
            "CA": self.ca.value, "ASR": self.asr.value, "base rate": self.base.value, "CA, control": self.control_ca.value,
            "ASR, control": self.control.value, "base rate, control": self.control_base.value, "gain": self.gain,
        }  # fmt: skip

    def table(self, name: str = "") -> pd.DataFrame:
        """One row, every share with its interval."""
        import pandas as pd

        columns = {
            "CA": self.ca, "ASR": self.asr, "base rate": self.base, "CA, control": self.control_ca,
            "ASR, control": self.control, "base rate, control": self.control_base,
        }  # fmt: skip
        told = {column: str(share) for column, share in columns.items()} | {"gain": f"{self.gain:+.2f}"}
        return pd.DataFrame([told], index=[name])

    def __str__(self) -> str:
        return (
            f"ASR {self.asr}, without the trigger {self.base}, by the clean-trained model {self.control}; "
            f"clean accuracy {self.ca}, of the clean-trained model {self.control_ca}"
        )


def report(predict: Predict, control: Predict, pictures: PictureSet, trigger: Trigger, target: int) -> Report:
    """CA, ASR, base rate and the clean-model control, each with its interval.

        ASR = share of {x : y != t} with predict(T(x)) = t;   base rate: predict(x) = t;   control: by the clean model

    Args:
        predict: pictures (N, C, H, W) in [0, 1] to classes (N,).
        control: the same of a model trained on clean data, in the same way.
        pictures: the test set, with labels; `predict` sees as many channels as it has.
        trigger: pictures to pictures, see `Poison`.
        target: the class t.

    Raises:
        ValueError: no labels, or no picture of another class than t.
    """
    labels = checks.labels(pictures.labels, len(pictures))
    if not (other := labels != target).any():
        raise ValueError(f"all pictures are of class {target}: success is counted on the others")
    images = to_float(pictures.images)
    triggered = trigger(images[other])

    def shares(model: Predict) -> tuple[Share, Share, Share]:
        with torch.no_grad():
            clean, marked = model(images).cpu(), model(triggered).cpu()
        for found, n in ((clean, len(images)), (marked, len(triggered))):
            if found.shape != (n,) or found.is_floating_point():
                raise ValueError(
                    f"predict must give one class per picture, ({n},) whole numbers; got {tuple(found.shape)}, "
                    f"{found.dtype}; of logits take .argmax(1)"
                )
        return Share.of(clean == labels), Share.of(marked == target), Share.of(clean[other] == target)

    ca, asr, base = shares(predict)
    return Report(ca, asr, base, *shares(control))
