"""Experiments over several seeds: measured once, kept with their code, seeds, time and versions, shown at once."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
import statistics
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import sslwork
from sslwork import atomic, scale

if TYPE_CHECKING:
    import pandas as pd

# Arm -> measure -> a number, or a list of numbers (a curve).
Arms = Mapping[str, Mapping[str, Any]]
PUBLISHED = Path(__file__).parent.parent / "notebooks" / "studies"


@dataclass
class Study:
    """What an experiment gave, seed by seed.

    `results` maps seed -> arm -> measure -> number or list; `seconds` what all seeds took; `made` when and with what.
    """

    name: str
    settings: dict[str, Any]
    code: str
    results: dict[int, Arms] = field(default_factory=dict)
    seconds: float = 0.0
    made: str = ""
    kept: bool = False

    @property
    def arms(self) -> list[str]:
        return list(next(iter(self.results.values())))

    def values(self, arm: str, measure: str) -> list[Any]:
        """One entry per seed."""
        return [result[arm][measure] for result in self.results.values()]

    def mean(self, arm: str, measure: str) -> float:
        return statistics.fmean(self.values(arm, measure))

    def difference(self, arm: str, control: str, measure: str) -> list[float]:
        """Paired by seed: the measure of `arm` less that of `control`."""
        pairs = zip(self.values(arm, measure), self.values(control, measure), strict=True)
        return [a - b for a, b in pairs]

    def table(self, digits: int = 1) -> pd.DataFrame:
        """One row per arm, one column per measure that is a number: mean ± standard deviation over seeds."""
        import pandas as pd

        def cell(values: list[float]) -> str:
            if len(set(values)) == 1 and float(values[0]).is_integer() and abs(values[0]) >= 1000:
                return f"{values[0]:,.0f}"  # a count
            spread = f" ± {statistics.stdev(values):.{digits}f}" if len(set(values)) > 1 else ""
            return f"{statistics.fmean(values):.{digits}f}{spread}"

        rows = {
            arm: {name: cell(self.values(arm, name)) for name in measures if self._is_number(arm, name)}
            for arm, measures in next(iter(self.results.values())).items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").fillna("")

    def _is_number(self, arm: str, measure: str) -> bool:
        return all(isinstance(value, int | float) for value in self.values(arm, measure))

    def __str__(self) -> str:
        where = "from the record" if self.kept else "measured now"
        return f"{self.name}: seeds {list(self.results)}, {self.seconds:.0f} s, {where} ({self.made})."


def run(
    name: str,
    experiment: Callable[..., Arms],
    *,
    seeds: Sequence[int],
    progress: bool = True,
    **settings: Any,
) -> Study:
    """`experiment(seed, **settings)` for each seed, or what was kept of it if nothing has changed since.

    A record counts only for the same code of `experiment` (its own lines: not of what it calls), settings and seeds.
    Change one of them, and it is measured anew; every seed is kept as soon as it is there, so that an interrupted study goes
    on where it was. `SSLWORK_FRESH=1` measures in any case.

    Args:
        name: of the study; also of its file.
        experiment: returns arm -> measure -> number (or list of numbers), plain values.
        seeds: one call each.
        progress: a bar over the seeds, if it takes more than two seconds.
        settings: plain values, handed on.

    The records published with the workbook lie in notebooks/studies. New ones go to the user's cache, or where
    SSLWORK_STUDIES names a folder, as building the workbook does.
    """
    from tqdm.auto import tqdm

    study = Study(name, settings | {"scale": scale.current().name}, digest(inspect.getsource(experiment)))
    path, published = _own(study), PUBLISHED / f"{name}-{scale.current().name}.json"
    fresh = os.environ.get("SSLWORK_FRESH", "0") not in ("", "0")
    records = [found for each in (published, path) if not fresh and (found := _read(each, study))]
    if records:
        fullest = max(records, key=lambda found: len(found.results.keys() & set(seeds)))
        study.results, study.seconds, study.made = fullest.results, fullest.seconds, fullest.made
    missing = [seed for seed in seeds if seed not in study.results]
    study.kept = not missing
    for seed in tqdm(missing, desc=name, unit=" seeds", delay=2, leave=False, disable=not progress):
        started = time.perf_counter()
        study.results[seed] = _plain(experiment(seed, **settings), name)
        study.seconds += time.perf_counter() - started
        # Another number of threads adds up in another order, and after some hundred steps that can be seen.
        study.made = (
            f"{datetime.now(UTC):%Y-%m-%d}, sslwork {sslwork.__version__}, torch {torch.__version__}, "
            f"threads: {torch.get_num_threads()}"
        )
        _write(path, study)
    study.results = {seed: study.results[seed] for seed in seeds}
    return study


def _own(study: Study) -> Path:
    """Where a new record goes: published under its name, a user's under its settings and code too."""
    if folder := os.environ.get("SSLWORK_STUDIES"):
        return Path(folder) / f"{study.name}-{study.settings['scale']}.json"
    from platformdirs import user_cache_path

    key = hashlib.blake2b(f"{study.settings}{study.code}".encode(), digest_size=6).hexdigest()
    return user_cache_path("sslwork") / "studies" / f"{study.name}-{key}.json"


def _read(path: Path, like: Study) -> Study | None:
    """The record at `path` if it is of this code and these settings."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        kept["results"] = {int(seed): arms for seed, arms in kept["results"].items()}
        found = Study(**kept)
    except (OSError, ValueError, TypeError, KeyError):
        return None  # none there, or none of ours
    same = (found.name, found.code, found.settings) == (
        like.name,
        like.code,
        json.loads(json.dumps(like.settings)),
    )
    return found if same else None


def _write(path: Path, study: Study) -> None:
    entry = asdict(study)
    del entry["kept"]
    with atomic.writing(path) as file:
        file.write(json.dumps(entry, indent=1, ensure_ascii=False).encode() + b"\n")


def _plain(arms: Arms, name: str) -> Arms:
    """Numbers as JSON keeps them, to five significant digits; NaN is refused before it is kept."""

    def number(value: Any, where: str) -> Any:
        if isinstance(value, bool | str):
            return value
        if hasattr(value, "tolist"):
            value = value.tolist()
        if isinstance(value, list | tuple):
            return [number(each, where) for each in value]
        if not torch.isfinite(torch.tensor(float(value))):
            raise ValueError(f"study {name!r}: {where} is {value}")
        return float(f"{float(value):.5g}")

    return {
        arm: {key: number(value, f"{key} of {arm}") for key, value in values.items()}
        for arm, values in arms.items()
    }


def digest(source: str) -> str:
    """Of the source of a function: what it does, whatever its comments, its layout and the version of Python."""

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(each) for each in node]
        if not isinstance(node, ast.AST):
            return repr(node)
        fields = [(name, plain(value)) for name, value in ast.iter_fields(node) if value not in (None, [])]
        return [type(node).__name__, *fields]

    tree = plain(ast.parse(textwrap.dedent(source)))
    return hashlib.blake2b(repr(tree).encode(), digest_size=6).hexdigest()
