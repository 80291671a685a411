"""Claims: what a paper says, what was measured here, and whether it holds at this scale."""

import json
import os
import statistics
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import sslwork
from sslwork import scale

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED = Path(__file__).parent.parent / "notebooks" / "claims"
HOLDS, NOT_SEEN, CONTRADICTED = "holds", "not seen at this scale", "contradicted"


@dataclass(frozen=True)
class Part:
    """One thing that was measured, with the bound that was set for it before looking.

    Args:
        what: what was compared with what.
        effects: the effect for each seed, paired with its control, in `unit`; above 0 speaks for the claim.
        unit: e.g. "points of k-NN accuracy".
        needed: the effect from which on this part is called seen.
    """

    what: str
    effects: Sequence[float]
    unit: str
    needed: float

    def __post_init__(self) -> None:
        if len(self.effects) < 3:
            raise ValueError(
                f"a claim needs at least 3 seeds to show its spread, got {len(self.effects)}: {self.what}"
            )
        if not torch.isfinite(torch.tensor(self.effects, dtype=torch.double)).all():
            raise ValueError(f"effects hold NaN or infinity: {list(self.effects)} ({self.what})")

    @property
    def effect(self) -> float:
        return statistics.fmean(self.effects)

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds."""
        return statistics.stdev(self.effects)

    @property
    def verdict(self) -> str:
        """Every seed decides: all reach `needed`: holds; all fall below 0: contradicted; else not seen at this scale.

        A part that asks for less than 0 (a loss of 2 points at most) is contradicted below what it asks for.
        """
        if min(self.effects) >= self.needed:
            return HOLDS
        return CONTRADICTED if max(self.effects) < min(self.needed, 0) else NOT_SEEN

    def __str__(self) -> str:
        size = f"{self.effect:+.3g} ± {self.spread:.2g} {self.unit}"
        return f"{self.what}: {size} over {len(self.effects)} seeds (at least {self.needed:g} asked for): {self.verdict}."


@dataclass(frozen=True)
class Claim:
    """What a paper says, with the evidence for and against it.

    Args:
        system: id in the table of systems.
        paper: what the paper says, in a sentence.
        measured: the protocol: data, networks, training, what stands against what.
        parts: what was measured, one `Part` for each thing that must be seen.
        seconds: what the measurement took.
    """

    system: str
    paper: str
    measured: str
    parts: Sequence[Part]
    seconds: float
    scale: str = ""
    made: str = ""

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError(f"the claim of {self.system} has no parts: nothing was measured")

    @property
    def verdict(self) -> str:
        """Holds if every part does; contradicted if one is; else not seen at this scale."""
        verdicts = {part.verdict for part in self.parts}
        return next((bad for bad in (CONTRADICTED, NOT_SEEN) if bad in verdicts), HOLDS)

    def __str__(self) -> str:
        parts = [f"- {part}" for part in self.parts]
        end = f"Verdict: {self.verdict} (scale {self.scale}, {self.seconds:.0f} s)."
        lines = [self.paper, f"Measured: {self.measured}", *parts, end]
        return "\n".join(textwrap.fill(line, 110, subsequent_indent="  ") for line in lines)


def record(
    *, effects: Sequence[float] | None = None, unit: str = "", needed: float = 0.0, **claim: Any
) -> Claim:
    """A claim measured now. Kept as a file only where SSLWORK_CLAIMS names a folder, as building the workbook does.

    Args:
        effects, unit, needed: the short form for a claim of one part; else give `parts`.
        claim: the fields of `Claim`.
    """
    if effects is not None:
        claim["parts"] = [Part("effect", effects, unit, needed)]
    made = f"{datetime.now(UTC):%Y-%m-%d}, sslwork {sslwork.__version__}, torch {torch.__version__}"
    entry = Claim(**claim, scale=scale.current().name, made=made)
    if folder := os.environ.get("SSLWORK_CLAIMS"):
        path = Path(folder) / f"{entry.system}-{entry.scale}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(entry), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return entry


def load(folder: str | Path | None = None) -> list[Claim]:
    """All claims kept in `folder`, by default those published with the workbook."""
    if not Path(folder or PUBLISHED).is_dir():
        raise FileNotFoundError(
            f"no folder of claims {folder or PUBLISHED}; claims lie in the repository, in notebooks/claims"
        )
    entries = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(Path(folder or PUBLISHED).glob("*.json"))
    ]
    return [Claim(**entry | {"parts": [Part(**part) for part in entry["parts"]]}) for entry in entries]


def table(folder: str | Path | None = None) -> "pd.DataFrame":
    """One row per part of each claim: effect, spread, seeds, scale, its verdict and that of the whole claim."""
    import pandas as pd

    of_claim, of_part = (
        ("system", "paper", "measured", "scale", "made"),
        ("what", "effect", "spread", "unit", "needed", "verdict"),
    )
    rows = [
        {name: getattr(claim, name) for name in of_claim}
        | {name: getattr(part, name) for name in of_part}
        | {"seeds": len(part.effects), "whole": claim.verdict}
        for claim in load(folder)
        for part in claim.parts
    ]
    columns = [
        "system",
        "paper",
        "what",
        "effect",
        "spread",
        "unit",
        "needed",
        "seeds",
        "verdict",
        "whole",
        "measured",
        "scale",
        "made",
    ]
    return pd.DataFrame(rows, columns=columns)
