"""The notebooks hold together, and the command that builds them does what it says.

Each notebook is also run cell by cell by nbval in `make test`.
"""

import ast
import json
import os
import shutil
import subprocess
import symtable
import sys
from collections.abc import Iterator
from pathlib import Path

import build
import jupytext
import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from sslwork import studies

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "notebooks" / "jupytext.toml"
SCRIPTS = build.find_scripts([])
STEMS = [script.stem for script in SCRIPTS]

every_script = pytest.mark.parametrize("script", SCRIPTS, ids=STEMS)

EXAMPLE = '''\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Means

# %%
import sys
from IPython.display import display
numbers = [1, 2, 3]
print("1%|#", file=sys.stderr)
display({"image/png": "aGVsbG8=", "text/html": "<img>", "text/plain": "still"}, raw=True)
display({"application/vnd.jupyter.widget-view+json": {"model_id": "0"}, "text/plain": "live"}, raw=True)

# %% tags=["exercise"] nbgrader={"grade": false, "solution": true}
def mean(values):
    """The mean."""
    ### BEGIN SOLUTION
    total = sum(values)
    return total / len(values)
    ### END SOLUTION

# %% tags=["check"]
assert mean(numbers) == 2

# %%
print("twice")

# %%
print("twice")
'''


def write(folder: Path, text: str = EXAMPLE, stem: str = "01_means") -> Path:
    script = folder / f"{stem}.py"
    script.write_text(text)
    return script


def solutions(script: Path) -> list[str]:
    """The text of every solution region of a script."""
    return [
        body for cell in build.read_script(script).cells for _, body in build.SOLUTION.findall(cell.source)
    ]


def find_exercise_faults(script: Path) -> list[str]:
    """Run the blank of each exercise before its solution; say which checks do not tell them apart.

    A check belongs to the last exercise before it. All run in one kernel: the blank, its checks (each must
    raise), the solution, and on to the same checks in their places (each must pass).
    """
    full = build.read_script(script).cells
    blanks = nbformat.read(build.student_path(script), as_version=4).cells
    tags = [set(cell.metadata.get("tags", [])) for cell in full]
    steps: list[tuple[NotebookNode, bool | None, str]] = []  # cell, whether it raises (None: may), name
    end = max((n for n, tag in enumerate(tags) if "check" in tag), default=-1) + 1
    for n in range(end):
        if "exercise" in tags[n]:
            after = [m for m in range(n + 1, end) if "exercise" in tags[m]]
            checks = [m for m in range(n + 1, min(after, default=end)) if "check" in tags[m]]
            steps.append((blanks[n], None, f"cell {n + 1} (blank)"))
            steps += [(blanks[m], True, f"cell {m + 1} (on the blank)") for m in checks]
        steps.append((full[n], None if "raises-exception" in tags[n] else False, f"cell {n + 1}"))
    if not steps:
        return []
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": build.KERNEL})
    notebook.cells = [nbformat.from_dict({**cell, "id": f"step-{n}"}) for n, (cell, _, _) in enumerate(steps)]
    resources = {"metadata": {"path": str(script.parent)}}
    NotebookClient(notebook, timeout=600, allow_errors=True, resources=resources).execute()
    faults = []
    for cell, (_, must_raise, name) in zip(notebook.cells, steps, strict=True):
        errors = [
            f"{out.ename}: {out.evalue}" for out in cell.get("outputs", []) if out.output_type == "error"
        ]
        if cell.cell_type == "code" and must_raise not in (None, bool(errors)):
            faults.append(f"{name}: {errors[0] if errors else 'passes'}")
    return faults


# The notebooks of the book


@every_script
def test_pair_and_student_copy_are_in_step(script):
    assert build.check(script) == []


def test_no_notebook_without_a_script():
    assert build.find_orphans() == []


@every_script
def test_student_copy_shows_no_solution(script):
    student = nbformat.read(build.student_path(script), as_version=4)
    text = "\n".join(cell.source for cell in student.cells)
    assert build.BEGIN not in text and build.END not in text
    assert all(body.strip() not in text for body in solutions(script))
    assert all(not cell.get("outputs") for cell in student.cells)


@pytest.mark.notebook
@every_script
def test_checks_fail_on_the_blank_and_pass_on_the_solution(script, monkeypatch, tmp_path):
    monkeypatch.setenv("SSLWORK_SCALE", "smoke")
    monkeypatch.setenv("SSLWORK_STUDIES", str(tmp_path))  # so that every experiment is run, not remembered
    assert find_exercise_faults(script) == []


def find_studies(script: Path) -> dict[str, str]:
    """Name -> source of the experiment, of every `studies.run(name, experiment, ...)` of a notebook."""
    code = script.read_text(encoding="utf-8")
    tree = ast.parse(code)
    sources = {
        node.name: ast.get_source_segment(code, node)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "studies.run"
    ]
    return {call.args[0].value: sources[call.args[1].id] for call in calls}


@every_script
def test_recorded_studies_are_of_the_code_beside_them(script):
    for name, source in find_studies(script).items():
        record = json.loads((ROOT / "notebooks" / "studies" / f"{name}-lab.json").read_text(encoding="utf-8"))
        assert record["code"] == studies.digest(source), (
            f"{name}: the experiment has changed, run 'make notebooks'"
        )
        assert len(record["results"]) >= 3 and record["seconds"] > 0 and record["made"]


def test_no_study_without_a_notebook():
    told = {f"{name}-lab.json" for script in SCRIPTS for name in find_studies(script)}
    assert {path.name for path in (ROOT / "notebooks" / "studies").glob("*")} == told


def find_overwritten(script: Path) -> list[str]:
    """Names which a function uses and a later cell gives another meaning: its dashboard would break at the next move."""
    cells = [cell.source for cell in build.read_script(script).cells if cell.cell_type == "code"]
    tables = [symtable.symtable(source, "cell", "exec") for source in cells]
    assigned = [{s.get_name() for s in t.get_symbols() if s.is_assigned() or s.is_imported()} for t in tables]

    def functions(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
        for child in table.get_children():
            if child.get_name() not in ("listcomp", "dictcomp", "setcomp", "genexpr"):  # those run at once
                yield child
                yield from functions(child)

    return [
        f"cell {later + 1} overwrites {s.get_name()}, which {function.get_name()} of cell {number + 1} uses"
        for number, table in enumerate(tables)
        for function in functions(table)
        for s in function.get_symbols()
        for later in range(number + 1, len(cells))
        if s.is_global() and s.get_name() in assigned[later]
    ]


@every_script
def test_no_cell_breaks_a_dashboard_above_it(script):
    assert find_overwritten(script) == []


# The command that builds them


def test_cell_ids_are_unique_and_depend_on_the_text_alone(tmp_path):
    ids = [cell.id for cell in build.read_script(write(tmp_path)).cells]
    assert len(set(ids)) == len(ids) == 6
    assert ids == [cell.id for cell in build.read_script(write(tmp_path)).cells]
    longer = EXAMPLE.replace("# %%\nimport sys", "# %%\nnew = 1\n\n# %%\nimport sys")
    assert set(ids) < {cell.id for cell in build.read_script(write(tmp_path, longer)).cells}


def test_student_copy_has_blanks_and_goes_on_past_them(tmp_path):
    student = build.make_student(build.read_script(write(tmp_path)))
    exercise, check = student.cells[2], student.cells[3]
    assert exercise.source.endswith('"""\n    # YOUR CODE HERE\n    raise NotImplementedError()')
    assert exercise.metadata.tags == ["exercise", "raises-exception"]
    assert exercise.metadata.nbgrader == {"grade": False, "solution": True}
    assert check.metadata.tags == ["check", "raises-exception"]
    assert "tags" not in student.cells[4].metadata
    assert len({cell.id for cell in student.cells}) == 6


@pytest.mark.parametrize(
    "source", ["### BEGIN SOLUTION\nx = 1", "x = 1\n### END SOLUTION", "### END SOLUTION\n### BEGIN SOLUTION"]
)
def test_unpaired_markers_are_an_error(source):
    with pytest.raises(build.BuildError, match="cell 7"):
        build.blank_solutions(source, "cell 7")


def test_several_regions_are_blanked_each_with_its_indent():
    region = "### BEGIN SOLUTION\n{0}x = 1\n{0}### END SOLUTION"
    source = f"{region.format('')}\nif y:\n  {region.format('  ')}\n  z = 2"
    blank = "# YOUR CODE HERE\n{0}raise NotImplementedError()"
    assert build.blank_solutions(source) == f"{blank.format('')}\nif y:\n  {blank.format('  ')}\n  z = 2"


@pytest.mark.parametrize(
    "change, found",
    [
        (lambda cells: cells[1].update(source="x = 2"), "cell 2: source"),
        (lambda cells: cells[2].metadata.update(tags=[]), "cell 3: tags"),
        (lambda cells: cells[2].metadata.update(nbgrader={}), "cell 3: nbgrader"),
        (lambda cells: cells.pop(), "cell 6: 5 cells"),
        (lambda cells: cells[4].update(cell_type="raw"), "cell 5: type"),
        (lambda cells: cells[4].metadata.update(trusted=True), None),
    ],
)
def test_differences_are_found(tmp_path, change, found):
    script, stored = (build.read_script(write(tmp_path)) for _ in range(2))
    change(stored.cells)
    difference = build.first_difference(script, stored)
    assert difference is None if found is None else difference.startswith(found)


@pytest.mark.parametrize(
    "output, found",
    [
        (nbformat.v4.new_output("error", ename="ValueError", evalue="no"), "cell 2: ValueError: no"),
        (nbformat.v4.new_output("display_data", {build.WIDGET_VIEW: {}}), "cell 2: holds a widget view"),
        (nbformat.v4.new_output("stream", text="x" * build.MAX_BYTES), "cell 2: 1,000,"),
        (nbformat.v4.new_output("stream", text=f"{ROOT}/x.py:1: Warning"), "cell 2: an output names a path"),
        (nbformat.v4.new_output("stream", text="1 epoch"), None),
    ],
)
def test_faults_name_the_cell(tmp_path, output, found):
    notebook = build.read_script(write(tmp_path))
    notebook.cells[1].outputs = [output]
    faults = build.find_faults(notebook)
    assert [fault.startswith(found) for fault in faults] == ([True] if found else [])


def test_an_error_in_a_cell_that_may_raise_is_no_fault(tmp_path):
    notebook = build.read_script(write(tmp_path, EXAMPLE.replace('"check"', '"raises-exception"')))
    notebook.cells[3].outputs = [nbformat.v4.new_output("error", ename="ValueError", evalue="no")]
    assert build.find_faults(notebook) == []
    notebook.metadata["widgets"] = {}
    assert build.find_faults(notebook) == ["holds widget state"]


def test_a_name_without_script_is_an_error(tmp_path, capsys):
    write(tmp_path)
    assert build.main(["02_medians"], tmp_path) == 1
    assert "02_medians" in capsys.readouterr().err


def test_left_over_notebooks_are_found(tmp_path):
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "09_gone.ipynb").touch()
    assert build.find_orphans(tmp_path) == [f"student{os.sep}09_gone.ipynb: no script"]


def test_the_filters_keep_tags_and_nbgrader_metadata_and_nothing_else(tmp_path):
    shutil.copy(CONFIG, tmp_path)
    notebook = build.read_script(write(tmp_path))
    notebook.cells[2].metadata["collapsed"] = True
    nbformat.write(notebook, tmp_path / "02_copy.ipynb")
    command = [sys.executable, "-m", "jupytext", "--to", "py:percent", "02_copy.ipynb"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    copy = build.read_script(tmp_path / "02_copy.py")
    assert build.first_difference(build.read_script(write(tmp_path)), copy) is None
    assert "collapsed" not in (tmp_path / "02_copy.py").read_text()


def test_jupyterlab_opens_a_pair_whichever_file_is_newer(tmp_path):
    """Also where the two are spelled differently, as after an edit by hand."""
    shutil.copy(CONFIG, tmp_path)
    script = write(tmp_path)
    nbformat.write(build.read_script(script), build.paired(script))
    write(tmp_path, EXAMPLE.replace("# Means", "# The means"))
    os.utime(script, (0, 0))
    manager = jupytext.TextFileContentsManager(root_dir=str(tmp_path))
    opened = manager.get("01_means.ipynb")["content"]
    assert opened.cells[0].source == "# The means"


@pytest.mark.notebook
def test_build_runs_tidies_and_stays_in_step(tmp_path, capsys):
    script = write(tmp_path)
    assert build.main(["--check"], tmp_path) == 1, "nothing is built yet"
    assert build.main(["01_means.py"], tmp_path) == 0
    assert capsys.readouterr().out.startswith("01_means: ")
    stored = nbformat.read(build.paired(script), as_version=4)
    assert [output.data for output in stored.cells[1].outputs] == [
        {"image/png": "aGVsbG8=", "text/plain": "still"}
    ]
    assert stored.cells[4].outputs[0].text == "twice\n"
    assert not any("execution" in cell.metadata for cell in stored.cells)
    first = build.paired(script).read_text(), build.student_path(script).read_text()
    assert build.main([], tmp_path) == 0
    assert (build.paired(script).read_text(), build.student_path(script).read_text()) == first

    for times in (0, 2_000_000_000):  # which file is newer says nothing
        os.utime(script, (times, times))
        assert build.main(["--check"], tmp_path) == 0
    assert find_exercise_faults(script) == []
    write(tmp_path, EXAMPLE.replace("total = sum", "s = sum"))
    capsys.readouterr()
    assert build.main(["--check"], tmp_path) == 1
    assert "cell 3: source differs" in capsys.readouterr().err


@pytest.mark.notebook
def test_a_failing_cell_is_named_and_nothing_is_written(tmp_path, capsys):
    script = write(tmp_path, EXAMPLE.replace("== 2", "== 3"))
    assert build.main([], tmp_path) == 1
    assert "01_means.py: cell 4 fails" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [script]


@pytest.mark.notebook
@pytest.mark.parametrize(
    "old, new, faults",
    [
        ("assert mean(numbers) == 2", "numbers", ["cell 4 (on the blank): passes"]),
        ("total / len(values)", "total", ["cell 4: AssertionError: "]),
        ("    ### BEGIN SOLUTION", "    return 2\n    ### BEGIN SOLUTION", ["cell 4 (on the blank): passes"]),
    ],
)
def test_checks_that_tell_nothing_apart_are_found(tmp_path, old, new, faults):
    script = write(tmp_path, EXAMPLE.replace(old, new))
    student = build.student_path(script)
    student.parent.mkdir()
    nbformat.write(build.make_student(build.read_script(script)), student)
    assert find_exercise_faults(script) == faults
