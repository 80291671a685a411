"""The benchmarks: the page says what the results say, the results are of the scripts as they stand, and one runs."""

import importlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "benchmarks"
sys.path.append(str(FOLDER))  # last, so that its short names hide nothing
page = importlib.import_module("page")
MACHINE = {
    "date": "2020-02-02", "cpu": "slow", "cores": 2, "threads": 2, "gpu": None, "system": "a system",
    "versions": {"torch": "1.0"},
}  # fmt: skip


def entry(**changes) -> dict:
    line = {
        "name": "time",
        "work": "the work",
        "unit": "s",
        "reach": {},
        "at_most": None,
        "count": 0,
        "limit": "why",
    }
    return {"about": "Title.\n\nWhat is done.", "machine": MACHINE, "lines": [line | changes]}


def rows(**changes) -> list[str]:
    table = [line for line in page.section("views", entry(**changes)).splitlines() if line.startswith("|")]
    return table[2:]


def test_the_page_is_what_the_results_render_to():
    assert page.PAGE.read_text(encoding="utf-8") == page.render(page.load()), (
        "docs/benchmarks.md differs from benchmarks/results.json: run 'python benchmarks/page.py'"
    )


def test_every_script_has_its_place_on_the_page_and_its_figures():
    scripts = {path.stem for path in FOLDER.glob("*.py")} - {"__main__", "bench", "page", "record"}
    assert scripts == set(page.CASES) == set(page.load())


@pytest.mark.parametrize("case", page.CASES)
def test_the_results_are_of_the_lines_that_the_script_has(case):
    script, found = importlib.import_module(case), page.load()[case]
    words = [{key: value for key, value in line.items() if key != "values"} for line in found["lines"]]
    assert (found["about"], words) == (script.__doc__, [asdict(line) for line in script.LINES]), (
        f"run 'python benchmarks/{case}.py --words'"
    )
    for line in found["lines"]:
        assert set(line["reach"]) <= set(line["values"]), (
            "a ratio to reach names a peer that was not measured"
        )


def test_a_ratio_is_held_against_the_one_to_reach():
    values = {"sslwork": 0.5, "fast": 0.75, "slow": 2000.0}
    fast, slow = rows(values=values, reach={"fast": 2.0, "slow": 8.0}, count=100)
    assert fast == "| the work | 500 ms (200/s) | fast | 750 ms (133/s) | 1.5× | ≥ 2× | **no** | why |"
    assert slow == "|  |  | slow | 2,000 s (0/s) | 4,000× | ≥ 8× | yes |  |"


def test_a_peer_that_was_not_waited_for_or_is_not_there():
    late, absent = rows(
        values={"sslwork": 4.0, "late": "> 60 s (then at 30%)", "absent": "not installed"},
        reach={"late": 2.0},
    )
    assert "| >15× | ≥ 2× | yes |" in late
    assert absent == "|  |  | absent | not installed |  |  |  |  |"


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.0, "yes"), (9.0, "yes"), (11.0, "**no**"), ("out of memory", "**no**")]
)
def test_a_bound_of_its_own(value, verdict):
    [row] = rows(values={"sslwork": value}, unit="MB", at_most=10)
    assert row.endswith(f"| ≤ 10 MB | {verdict} | why |")


def test_machines_are_listed_once_each():
    text = page.render({case: entry(values={"sslwork": 1.0}) for case in ("views", "knn")})
    assert text.count("slow, 2 cores, 2 threads, no GPU; a system; torch 1.0") == 1
    assert "- views, knn: slow" in text


def test_a_case_runs_small_without_peers_and_records_nothing():
    before = page.RESULTS.read_bytes(), page.PAGE.read_bytes()
    command = [sys.executable, FOLDER / "views.py"]
    environment = os.environ | {"SSLWORK_BENCH": "small", "PYTHONPATH": str(ROOT)}
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    assert "| two views of 10,000 pictures |" in printed
    assert (page.RESULTS.read_bytes(), page.PAGE.read_bytes()) == before


def test_results_are_plain_json_with_versions_and_date():
    for case in json.loads(page.RESULTS.read_text(encoding="utf-8")).values():
        assert {"torch", "sslwork", "lightly"} <= set(case["machine"]["versions"])
        assert case["machine"]["date"] and case["machine"]["threads"] == 2
