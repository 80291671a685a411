"""Claims: what a paper says, what was measured here, and whether it holds at this scale."""

import json
import os
import statistics
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


@dataclass(frozen=True)
class Claim:
    """One claim with its evidence.

    Args:
        system: id in the table of systems.
        paper: what the paper says, in a sentence.
        measured: what was compared here, by which protocol.
        effects: the effect for each seed, paired with its control, in `unit`; above 0 speaks for the claim.
        unit: e.g. "points of k-NN accuracy".
        needed: the effect from which on the claim is called seen; set before looking.
        seconds: what the measurement took.
    """

    system: str
    paper: str
    measured: str
    effects: Sequence[float]
    unit: str
    needed: float
    seconds: float
    scale: str = ""
    made: str = ""

    def __post_init__(self) -> None:
        if len(self.effects) < 3:
            raise ValueError(f"a claim needs at least 3 seeds to show its spread, got {len(self.effects)}")
        if not torch.isfinite(torch.tensor(self.effects, dtype=torch.double)).all():
            raise ValueError(f"effects hold NaN or infinity: {list(self.effects)}")

    @property
    def effect(self) -> float:
        return statistics.fmean(self.effects)

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds."""
        return statistics.stdev(self.effects)

    @property
    def verdict(self) -> str:
        """Every seed decides: all reach `needed`: holds; all fall below 0: contradicted; else not seen at this scale."""
        if min(self.effects) >= self.needed:
            return "holds"
        return "contradicted" if max(self.effects) < 0 else "not seen at this scale"

    def __str__(self) -> str:
        return (
            f"{self.paper}\nMeasured: {self.measured}\n{self.effect:+.1f} ± {self.spread:.1f} {self.unit} over "
            f"{len(self.effects)} seeds (at least {self.needed:g} asked for), scale {self.scale}, "
            f"{self.seconds:.0f} s.\nVerdict: {self.verdict}."
        )


def record(**claim: Any) -> Claim:
    """A claim measured now. Kept as a file only where SSLWORK_CLAIMS names a folder, as building the workbook does."""
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
    return [
        Claim(**json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(Path(folder or PUBLISHED).glob("*.json"))
    ]


def table(folder: str | Path | None = None) -> "pd.DataFrame":
    """One row per claim: effect, spread, seeds, scale, verdict."""
    import pandas as pd

    fields = ("system", "paper", "measured", "effect", "spread", "unit", "needed", "scale", "verdict", "made")
    rows = [
        {name: getattr(claim, name) for name in fields} | {"seeds": len(claim.effects)}
        for claim in load(folder)
    ]
    return pd.DataFrame(rows, columns=[*fields, "seeds"])
