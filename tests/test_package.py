"""The package as a whole: light to import, its tables true, its docs runnable, its public names on record."""

import doctest
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import sslwork
from sslwork import claims, scale, systems, toys
from sslwork.seeds import generator, seeded

ROOT = Path(__file__).parent.parent
MODULES = [name for _, name, _ in pkgutil.walk_packages(sslwork.__path__, "sslwork.")]


def test_import_loads_nothing_heavy():
    code = "import sys, sslwork; print([m for m in ('torch', 'numpy', 'matplotlib', 'umap') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_training_parts_need_no_widgets():
    """A GPU machine without a notebook trains: none of these may be loaded by it."""
    code = (
        "import sys; from sslwork import data, views, encoders, methods, train, embed, panel, measures, claims\n"
        "print([m for m in ('ipywidgets', 'plotly', 'umap', 'matplotlib', 'sklearn', 'pandas') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_run(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} says nothing of itself"
    assert doctest.testmod(module, extraglobs={"torch": torch}).failed == 0


def test_unknown_parts_are_named():
    with pytest.raises(AttributeError, match=r"it has .*claims"):
        _ = sslwork.nothing
    assert "losses" in dir(sslwork)


def test_table_of_systems_holds_what_it_says():
    table = systems.table()
    assert sum(not key.startswith("B") for key in table.index) == 156
    assert table.index.is_unique and set(table.state) <= {"works", "planned"}
    measured = {claim.system for claim in claims.load()}
    for key, row in table[table.state == "works"].iterrows():
        part, _, member = row.core.rpartition(".")
        assert getattr(importlib.import_module(f"sslwork.{part}"), member).__doc__, f"{key}: {row.core}"
        script = (ROOT / "notebooks" / f"{row.notebook}.py").read_text(encoding="utf-8")
        name = row["name"].partition(" (")[0]  # less its abbreviation
        assert name in script, f"{row.notebook} does not tell of {name}"
        assert f'"{key}"' in script, f"{row.notebook} records no claim for {key}"  # by name, or in a table
        assert key in measured, f"no published claim for {key}: run 'make notebooks'"
    planned = table[table.state == "planned"]
    assert (planned.core == "").all() and (planned.notebook == "").all()


def test_published_claims_can_be_read():
    for claim in claims.load():
        assert claim.scale in scale.SCALES
        assert claim.verdict in str(claim)
    assert list(claims.table().columns[:4]) == ["system", "paper", "what", "effect"]


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [((12, 15, 11), "holds"), ((12, 15, 9), "not seen at this scale"), ((-1, 3, 0), "not seen at this scale"),
     ((-1, -3, -2), "contradicted")],
)  # fmt: skip
def test_every_seed_decides_the_verdict(effects, verdict, tmp_path, monkeypatch):
    monkeypatch.setenv("SSLWORK_CLAIMS", str(tmp_path))
    claim = claims.record(
        system="B1", paper="p", measured="m", effects=effects, unit="points", needed=10, seconds=1
    )
    assert claim.verdict == verdict
    assert [str(kept) for kept in claims.load(tmp_path)] == [str(claim)]
    assert json.loads((tmp_path / "B1-lab.json").read_text())["parts"][0]["needed"] == 10


def test_a_claim_holds_as_its_parts_do():
    def claim(*effects, needed=1.0):
        parts = [claims.Part(f"part {i}", (each,) * 3, "points", needed) for i, each in enumerate(effects)]
        return claims.Claim("B1", "p", "m", parts, seconds=1)

    assert claim(2, 3).verdict == "holds"
    assert claim(2, 0.5).verdict == "not seen at this scale"
    assert claim(2, 0.5, -1).verdict == "contradicted"
    # A cost of two points at most was asked for: a cost of one keeps it, a cost of three breaks it.
    assert claim(-1, needed=-2).verdict == "holds" and claim(-3, needed=-2).verdict == "contradicted"
    assert all(len(line) <= 110 for line in str(claim(2, 0.5, -1)).splitlines())
    with pytest.raises(ValueError, match="no parts"):
        claims.Claim("B1", "p", "m", [], seconds=1)


@pytest.mark.parametrize("effects", [(1, 2), (1, 2, float("nan"))])
def test_claims_need_three_finite_seeds(effects, monkeypatch):
    monkeypatch.delenv("SSLWORK_CLAIMS", raising=False)
    with pytest.raises(ValueError, match=r"3 seeds|NaN"):
        claims.record(system="B1", paper="p", measured="m", effects=effects, unit="u", needed=1, seconds=1)


def test_scale_is_read_from_one_variable(monkeypatch):
    for name in scale.SCALES:
        monkeypatch.setenv("SSLWORK_SCALE", name)
        assert f"SSLWORK_SCALE={name}" in str(scale.current())
    monkeypatch.setenv("SSLWORK_SCALE", "huge")
    with pytest.raises(ValueError, match="'huge'; choose one of smoke, lab, gpu"):
        scale.current()
    readers = [
        p.name for p in (ROOT / "sslwork").rglob("*.py") if 'environ.get("SSLWORK_SCALE"' in p.read_text()
    ]
    assert readers == ["scale.py"]


def test_seeds_leave_the_global_state():
    before = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(2)
    with seeded(3):
        assert torch.equal(first, torch.rand(2))
    assert torch.equal(before, torch.get_rng_state())
    assert generator(0, 1).initial_seed() != generator(1, 0).initial_seed()


def test_contrastive_flow():
    points, labels = toys.clusters_on_sphere(6, 20, spread=0.1)
    path = toys.contrastive_flow(points, temperature=0.1, steps=30)
    assert len(path) == 31 and torch.allclose(path[0], points)
    assert torch.allclose(path[-1].norm(dim=1), torch.ones(120).double())
    assert labels.bincount().tolist() == [20] * 6


def test_flow_goes_down_the_gradient():
    points = toys.clusters_on_sphere(3, 5)[0]
    u = points.clone().requires_grad_()
    tau, rate = 0.3, 1e-4
    # Each row's positive is a frozen copy of itself; as an anchor and as a negative it moves.
    similarity = u @ u.T / tau
    own = torch.eye(15, dtype=torch.bool)
    loss = (torch.where(own, 1 / tau, similarity).logsumexp(1) - 1 / tau).sum()
    loss.backward()
    along = u.grad - (u.grad * points).sum(1, keepdim=True) * points
    moved = (toys.contrastive_flow(points, temperature=tau, steps=1, rate=rate)[1] - points) / rate
    assert torch.allclose(moved, -tau * along, atol=1e-3)


def test_cold_dissolves_clusters_and_hot_keeps_them():
    from sslwork.measures import tolerance, uniformity

    points, labels = toys.clusters_on_sphere(spread=0.12)
    ends = {t: toys.contrastive_flow(points, temperature=t, steps=60)[-1] for t in (0.1, 2.0)}
    assert tolerance(ends[0.1], labels) < tolerance(ends[2.0], labels) - 0.15
    assert uniformity(ends[0.1]) < uniformity(ends[2.0]) - 0.15


def public_api() -> str:
    """Every public name of the parts people call, with its signature."""
    lines = []
    for part in sslwork._PARTS:
        module = importlib.import_module(f"sslwork.{part}")
        names = getattr(module, "__all__", None) or [
            name for name, member in vars(module).items()
            if not name.startswith("_") and getattr(member, "__module__", "") == module.__name__
        ]  # fmt: skip
        for name in sorted(names):
            member = getattr(module, name)
            shape = (
                re.sub(r" at 0x\w+|<factory>", "", str(inspect.signature(member))) if callable(member) else ""
            )
            lines.append(f"{part}.{name}{shape}")
    return "\n".join(lines) + "\n"


def test_public_api_changes_on_purpose_only(request):
    """After a wanted change: python -m pytest tests/test_package.py -k public_api --write-api"""
    snapshot = Path(__file__).parent / "public_api.txt"
    if request.config.getoption("--write-api"):
        snapshot.write_text(public_api(), encoding="utf-8")
    assert public_api() == snapshot.read_text(encoding="utf-8"), (
        test_public_api_changes_on_purpose_only.__doc__
    )
