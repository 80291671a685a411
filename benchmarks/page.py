"""docs/benchmarks.md, written from results.json alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PAGE = HERE.parent / "docs" / "benchmarks.md"
CASES = ("views", "epoch", "nt_xent", "rank", "knn", "linear", "map2d", "accuracy", "million", "attacks")

INTRO = """# Benchmarks

sslwork beside other libraries doing the same work, in the same process, in turns. `make bench` measures all of it
anew, `make bench ARGS=views` one part. This page is written from `benchmarks/results.json`; the experiments are the
scripts beside it, and how they time is said at the top of `benchmarks/bench.py`.

A ratio says how many times smaller our figure is than the peer's. Figures are medians of three runs or more;
memory is what the work takes beyond its inputs.
"""


def load() -> dict[str, Any]:
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def render(results: dict[str, Any]) -> str:
    """The whole page."""
    sections = [section(case, results[case]) for case in CASES if case in results]
    return "\n".join([INTRO, *sections, _machines(results)])


def section(case: str, entry: dict[str, Any]) -> str:
    """One case: what is done, and a row for each line and peer."""
    title, _, about = entry["about"].partition("\n\n")
    head = ["work", "ours", "peer", "its figure", "ratio", "to reach", "reached", "what limits it"]
    rows = [row for line in entry["lines"] for row in _rows(line)]
    table = [head, ["---"] * len(head), *rows]
    return "\n".join(
        [f"## {title.rstrip('.')}", "", about.strip(), "", f"`benchmarks/{case}.py`, {entry['machine']['date']}", ""]
        + [f"| {' | '.join(row)} |" for row in table]
    ) + "\n"  # fmt: skip


def _rows(line: dict[str, Any]) -> Iterator[list[str]]:
    values, unit = dict(line["values"]), line["unit"]
    mine = values.pop("sslwork")
    work = [line["work"], _figure(mine, unit, line["count"])]
    limit = line["limit"]
    if line["at_most"] is not None or not values:
        bound = line["at_most"]
        goal = ["", ""] if bound is None else [f"≤ {_figure(bound, unit)}", _verdict(_number(mine), bound)]
        yield [*work, "", "", "", *goal, limit]
        work, limit = ["", ""], ""
    for peer, value in values.items():
        ours, theirs = _number(mine), _number(value)
        ratio = theirs / ours if ours and theirs else None
        more = ">" if isinstance(value, str) else ""
        goal = line["reach"].get(peer)
        yield [
            *work,
            peer,
            _figure(value, unit, line["count"]),
            f"{more}{_round(ratio)}×" if ratio else "",
            f"≥ {goal:g}×" if goal else "",
            "" if goal is None or ratio is None else _verdict(goal, ratio),
            limit,
        ]
        work, limit = ["", ""], ""


def _verdict(small: float | None, large: float) -> str:
    return "**no**" if small is None or small > large else "yes"


def _number(value: float | str) -> float | None:
    """A bound such as "> 60 s" counts as what it bounds; a reason has no number."""
    if isinstance(value, str):
        return float(value[2:].split()[0]) if value.startswith("> ") else None
    return value


def _figure(value: float | str, unit: str, count: int = 0) -> str:
    if isinstance(value, str):
        return value
    rate = f" ({count / value:,.0f}/s)" if count and value else ""
    if unit == "s" and value < 1:
        return f"{_round(1000 * value)} ms{rate}"
    return f"{_round(value)} {unit}{rate}"


def _round(value: float) -> str:
    """Three digits that count, and no exponent where one can do without."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _machines(results: dict[str, Any]) -> str:
    """Each machine with its versions, and which cases it measured."""
    found: dict[str, list[str]] = {}
    for case in (case for case in CASES if case in results):
        machine = results[case]["machine"]
        versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
        gpu = f", {machine['gpu']}" if machine["gpu"] else ", no GPU"
        text = (
            f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads{gpu}; {machine['system']}; "
            f"{versions}"
        )
        found.setdefault(text, []).append(case)
    lines = [f"- {', '.join(cases)}: {text}" for text, cases in found.items()]
    return "\n".join(["## Measured with", "", *lines, ""])


if __name__ == "__main__":
    PAGE.write_text(render(load()), encoding="utf-8")
