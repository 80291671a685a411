"""Make the notebooks from their percent scripts: `python notebooks/build.py [--check] [NAME ...]`.

For each script `NN_name.py`, the one source, this writes `NN_name.ipynb` (run from a clean kernel, outputs
tidied) and `student/NN_name.ipynb` (no outputs, solutions blanked). `--check` runs nothing and fails where the
three are out of step. Contents are compared, never file times: in a fresh clone those are arbitrary.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from copy import deepcopy
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
SCRIPTS = "[0-9][0-9]_*.py"
MAX_BYTES = 1_000_000
CELL_TIMEOUT = 3600  # seconds; a study that is measured anew takes minutes
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
BLANK = ("# YOUR CODE HERE", "raise NotImplementedError()")
SOLUTION = re.compile(rf"^([ \t]*){BEGIN}[^\n]*\n(.*?)^[ \t]*{END}[^\n]*$", re.M | re.S)
# Where warnings and tracebacks name files of the machine that ran the cell.
MACHINE_PATH = re.compile(
    rf"{re.escape(json.dumps(str(HERE.parent))[1:-1])}\b|site-packages|[/\\]ipykernel_\d"
)
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class BuildError(Exception):
    """What is wrong with a notebook, naming the file and the cell."""


def find_scripts(names: list[str], folder: Path = HERE) -> list[Path]:
    """The scripts called `names` (with or without suffix), or all of them."""
    scripts = sorted(folder.glob(SCRIPTS))
    if names:
        wanted = {Path(name).stem for name in names}
        if unknown := wanted - {script.stem for script in scripts}:
            raise BuildError(f"no script for {', '.join(sorted(unknown))} in {folder.name}/")
        scripts = [script for script in scripts if script.stem in wanted]
    return scripts


def paired(script: Path) -> Path:
    """Where the built notebook lies."""
    return script.with_suffix(".ipynb")


def student_path(script: Path) -> Path:
    """Where the student copy lies."""
    return script.parent / "student" / f"{script.stem}.ipynb"


def read_script(script: Path) -> NotebookNode:
    """The script as a notebook without outputs, with cell ids that depend on its text alone."""
    notebook = jupytext.read(script)
    notebook.metadata.setdefault("kernelspec", NotebookNode(KERNEL))
    notebook.metadata["language_info"] = NotebookNode(name="python")
    return number_cells(notebook)


def number_cells(notebook: NotebookNode) -> NotebookNode:
    """Give each cell an id from its text (and a number from the second equal text on), in place."""
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha1(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[digest] += 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return notebook


def execute(notebook: NotebookNode, folder: Path, claims: str) -> NotebookNode:
    """Run every cell in a clean kernel that works in `folder` and leaves what it measures in `claims`, in place.

    Studies are recorded in `folder` at once: they take minutes, and are worth keeping where a later cell fails.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(folder)}},
    )
    records = {"SSLWORK_CLAIMS": claims, "SSLWORK_STUDIES": str(folder.resolve() / "studies")}
    client.execute(env=os.environ | records)
    notebook.metadata["language_info"] = NotebookNode(name="python")  # less the version that ran it
    return notebook


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Drop what only a live page needs, what changes from run to run and progress bars, in place.

    A dashboard leaves a still picture beside its widget: the picture stays.
    """
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_live_only(output)]
            for output in cell.outputs:
                if {"image/png", "text/html"} <= set(output.get("data", {})):
                    del output.data["text/html"]
    return notebook


def _is_live_only(output: NotebookNode) -> bool:
    """Whether a stored notebook is better without this output."""
    if output.output_type == "stream" and output.name == "stderr":
        return "\r" in output.text or re.search(r"\d+%\|", output.text) is not None
    return WIDGET_VIEW in output.get("data", {})


def make_student(notebook: NotebookNode) -> NotebookNode:
    """A copy with blanks for solutions, no outputs, and exercises that do not stop Run All."""
    student = deepcopy(notebook)
    for number, cell in enumerate(student.cells, 1):
        cell["source"] = blank_solutions(cell.source, f"cell {number}")
        tags = cell.metadata.get("tags", [])
        if {"exercise", "check"} & set(tags) and "raises-exception" not in tags:
            cell.metadata["tags"] = [*tags, "raises-exception"]
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # Alone in its folder: saving it in JupyterLab writes no script beside it.
    student.metadata["jupytext"] = NotebookNode(formats="ipynb")
    return number_cells(student)


def blank_solutions(source: str, where: str = "cell") -> str:
    """`source` with each region between the solution markers replaced by a blank that raises."""
    blanked = SOLUTION.sub(lambda found: "\n".join(found[1] + line for line in BLANK), source)
    if BEGIN in blanked or END in blanked:
        raise BuildError(f"{where}: '{BEGIN}' and '{END}' do not pair up")
    return blanked


def essence(notebook: NotebookNode) -> list[tuple[str, str, list[str], dict]]:
    """What a script and its notebook have in common: type, source, tags and nbgrader's notes of each cell."""
    return [
        (
            cell.cell_type,
            cell.source,
            list(cell.metadata.get("tags", [])),
            dict(cell.metadata.get("nbgrader", {})),
        )
        for cell in notebook.cells
    ]


def first_difference(script: NotebookNode, stored: NotebookNode) -> str | None:
    """The first cell in which a script and its notebook differ, in words."""
    ours, theirs = essence(script), essence(stored)
    for number, (want, have) in enumerate(zip(ours, theirs, strict=False), 1):
        for what, a, b in zip(("type", "source", "tags", "nbgrader metadata"), want, have, strict=True):
            if a != b:
                return f"cell {number}: {what} differs from the script"
    if len(ours) != len(theirs):
        return f"cell {min(len(ours), len(theirs)) + 1}: {len(theirs)} cells, the script has {len(ours)}"
    return None


def find_faults(notebook: NotebookNode) -> list[str]:
    """Why a notebook with outputs must not be stored: widget state, errors, machine paths, too many bytes."""
    faults = ["holds widget state"] if "widgets" in notebook.metadata else []
    sizes = []
    for number, cell in enumerate(notebook.cells, 1):
        outputs = cell.get("outputs", [])
        sizes.append((len(json.dumps(outputs)), number))
        if any(WIDGET_VIEW in output.get("data", {}) for output in outputs):
            faults.append(f"cell {number}: holds a widget view")
        for output in outputs:
            if output.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", []):
                faults.append(f"cell {number}: {output.ename}: {output.evalue}")
        if MACHINE_PATH.search(json.dumps(outputs)):
            faults.append(f"cell {number}: an output names a path of the machine that ran it")
    size = len(nbformat.writes(notebook).encode())
    if size > MAX_BYTES:
        largest, number = max(sizes)
        faults.append(
            f"cell {number}: {largest:,} bytes of output, and the file has {size:,} of {MAX_BYTES:,}"
        )
    return faults


def build(script: Path) -> float:
    """Write the notebook of `script` and its student copy; return the seconds the run took."""
    notebook = read_script(script)
    student = make_student(notebook)
    measured = tempfile.TemporaryDirectory()
    start = time.perf_counter()
    try:
        execute(notebook, script.parent, measured.name)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        started = [number for number, cell in enumerate(notebook.cells, 1) if cell.get("execution_count")]
        raise BuildError(f"{script.name}: cell {max(started, default=1)} fails\n{error}") from None
    seconds = time.perf_counter() - start
    if faults := find_faults(tidy(notebook)):
        raise BuildError("\n".join(f"{script.name}: {fault}" for fault in faults))
    for path, content in ((paired(script), notebook), (student_path(script), student)):
        path.parent.mkdir(exist_ok=True)
        path.write_text(nbformat.writes(content) + "\n", encoding="utf-8")
    with measured:  # claims are published with the notebook that measured them, or not at all
        if any(Path(measured.name).iterdir()):
            shutil.copytree(measured.name, script.parent / "claims", dirs_exist_ok=True)
    return seconds


def check(script: Path) -> list[str]:
    """What is out of step or unfit to store among a script, its notebook and its student copy."""
    source = read_script(script)
    if not paired(script).exists():
        return [f"{paired(script).name}: not built"]
    stored = nbformat.read(paired(script), as_version=4)
    difference = first_difference(source, stored)
    faults = [f"{paired(script).name}: {fault}" for fault in [difference, *find_faults(stored)] if fault]
    student = student_path(script)
    wanted = nbformat.writes(make_student(source)) + "\n"
    if not student.exists() or student.read_text(encoding="utf-8") != wanted:
        faults.append(f"student/{student.name}: not what the script gives")
    return faults


def find_orphans(folder: Path = HERE) -> list[str]:
    """Notebooks left over from scripts that are gone."""
    stems = {script.stem for script in find_scripts([], folder)}
    stored = [*folder.glob("*.ipynb"), *folder.glob("student/*.ipynb")]
    return [f"{path.relative_to(folder)}: no script" for path in sorted(stored) if path.stem not in stems]


def main(arguments: list[str] | None = None, folder: Path = HERE) -> int:
    """Build or check; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the notebooks from their percent scripts.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as 00_start_here; all when left out")
    parser.add_argument("--check", action="store_true", help="run nothing, fail where files are out of step")
    options = parser.parse_args(arguments)
    try:
        scripts = find_scripts(options.names, folder)
        if options.check:
            if faults := sum(map(check, scripts), [] if options.names else find_orphans(folder)):
                raise BuildError("\n".join(faults) + "\nRun 'make notebooks'.")
        else:
            for script in scripts:
                print(f"{script.stem}: {build(script):.1f} s", flush=True)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
