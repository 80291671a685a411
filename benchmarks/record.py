"""What a comparison is about, and where its figures go: results.json and the page written from it."""

import contextlib
import datetime
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import bench
import page

PACKAGES = (
    "sslwork", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "umap-learn", "lightly", "kornia",
    "pytorch-metric-learning", "stable-pretraining", "torchattacks", "foolbox",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One quantity, the smaller the better.

    `reach` says how many times smaller than each peer's it should be, `at_most` bounds it by itself; `count` is how
    many pictures are handled in that time; `limit` says what keeps it from being smaller, as a profile shows.
    """

    name: str
    work: str
    unit: str = "s"
    reach: Mapping[str, float] = field(default_factory=dict)
    at_most: float | None = None
    count: int = 0
    limit: str = ""


def main(
    file: str, about: str, lines: Sequence[Line], measure: Callable[[], dict[str, dict[str, bench.Value]]]
) -> None:
    """Measure, print, and write the lines of this case into the results and onto the page.

    With `--words` nothing is measured: what the script says of its lines goes beside the figures there are.
    """
    # Read by torch, BLAS and numba when they start, in the fresh processes. Idle threads sleep, as in `make lab`.
    os.environ |= {"OMP_NUM_THREADS": str(bench.THREADS), "OMP_WAIT_POLICY": "PASSIVE"}
    case = Path(file).stem
    results = page.load()
    if "--words" in sys.argv:
        machine = results[case]["machine"]
        values = {line["name"]: line["values"] for line in results[case]["lines"]}
    else:
        bench.say(case)
        values, machine = measure(), bench.fresh(describe_machine)
    rounded = {
        name: {k: v if isinstance(v, str) else float(f"{v:.4g}") for k, v in row.items()}
        for name, row in values.items()
    }
    results[case] = {
        "about": about,
        "machine": machine,
        "lines": [asdict(line) | {"values": rounded[line.name]} for line in lines],
    }
    print(page.section(case, results[case]))
    if not bench.SMALL:
        results = {case: results[case] for case in page.CASES if case in results}
        page.RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        page.PAGE.write_text(page.render(results), encoding="utf-8")


def describe_machine() -> dict[str, Any]:
    import torch

    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, IndexError):
        cpu = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())[0]
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "versions": versions,
    }
