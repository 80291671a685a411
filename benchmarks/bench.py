"""How every comparison is timed.

The contenders of a comparison take turns in one fresh process, three rounds or more, after each has run once on small
inputs; the median counts. Peak memory is the growth of the high-water mark over what the inputs take, in a fresh
process for each contender.
"""

import contextlib
import gc
import importlib
import multiprocessing
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
SMALL = os.environ.get("SSLWORK_BENCH") == "small"  # to try a script out: nothing is recorded

Value = float | str  # a number; "> 60 s", where it was not waited for; or the reason why there is none
Work = Callable[[], Any]
Inputs = Callable[[int], Any]
Contenders = Mapping[str, Callable[[Any], Work | str]]  # from inputs to what is timed, or why it is not
Check = Callable[[dict[str, Any]], None]


def size(full: int, small: int) -> int:
    """The size of an experiment, or a small one where the script is only tried out."""
    return small if SMALL else full


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def peer(module: str) -> Any:
    """A module of another library; ImportError, which `race` understands, where it is not installed."""
    from sslwork.torchvision_guard import import_torchvision

    import_torchvision()
    return importlib.import_module(module)


def fresh(function: Callable[..., Any], *args: Any) -> Any:
    """What the function returns in a process that has done nothing else."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def race(
    inputs: Inputs, contenders: Contenders, n: int, *, warm: int, repeats: int = 3, check: Check | None = None
) -> dict[str, Value]:
    """Median seconds of each contender on `inputs(n)`; `check` is shown what they returned."""
    say(f"{', '.join(contenders)}: {n:,}")
    return fresh(_race, inputs, contenders, n, min(n, warm), 1 if SMALL else repeats, check)


def peaks(
    inputs: Inputs, contenders: Contenders, n: int, *, warm: int, whole: bool = False
) -> dict[str, Value]:
    """Megabytes by which each contender's memory grows beyond its inputs, or the `whole` process's."""
    say(f"memory of {', '.join(contenders)}: {n:,}")
    return {
        name: fresh(_peak, inputs, {name: make}, n, min(n, warm), whole) for name, make in contenders.items()
    }


def _race(
    inputs: Inputs, contenders: Contenders, n: int, warm: int, repeats: int, check: Check | None
) -> dict[str, Value]:
    _once(inputs(warm), contenders)
    works = ready(inputs(n), contenders)
    seconds: dict[str, list[float]] = {name: [] for name, work in works.items() if callable(work)}
    results = {}
    for _ in range(repeats):
        for name, taken in seconds.items():
            gc.collect()
            started = time.perf_counter()
            results[name] = works[name]()  # type: ignore[operator]
            _finish()
            taken.append(time.perf_counter() - started)
    if check:
        check(results)
    return works | {name: statistics.median(taken) for name, taken in seconds.items()}  # type: ignore[return-value]


def _peak(inputs: Inputs, contenders: Contenders, n: int, warm: int, whole: bool) -> Value:
    _once(inputs(warm), contenders)
    [work] = ready(inputs(n), contenders).values()
    if isinstance(work, str):
        return work
    gc.collect()
    mark = high_water(reset=True)
    before = 0 if whole else mark
    work()
    _finish()
    return max(0, high_water() - before) / 1e6


def ready(data: Any, contenders: Contenders) -> dict[str, Work | str]:
    """What each contender will do with the data, or why it cannot."""
    works: dict[str, Work | str] = {}
    for name, make in contenders.items():
        try:
            works[name] = make(data)
        except ImportError as error:
            works[name] = f"not installed ({error.name})"
    return works


def _once(data: Any, contenders: Contenders) -> None:
    """Load code, start threads, fill caches."""
    for work in ready(data, contenders).values():
        if callable(work):
            work()


def _finish() -> None:
    """A GPU works on after the call has returned."""
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def high_water(*, reset: bool = False) -> int:
    """Bytes this process has held at most since the last reset: on the GPU if it is in use, else of main memory."""
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated()
    if reset:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    with contextlib.suppress(OSError):
        return 1024 * int(re.findall(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[0])
    import resource  # not on Linux: never reset, so what the inputs took on the way counts too

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def best(values: Mapping[str, Value], name: str) -> Value:
    """The smallest of one contender's variants, which are called "name, ..."; else the reason why there is none."""
    own = [value for key, value in values.items() if key.split(",")[0] == name]
    return min((value for value in own if not isinstance(value, str)), default=own[0])


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
