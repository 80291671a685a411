"""Studies: kept with code, settings and seeds; measured anew when one of them changes; nothing lost on the way."""

import json

import pytest

from sslwork import studies


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLWORK_STUDIES", str(tmp_path))
    monkeypatch.setattr(studies, "PUBLISHED", tmp_path)
    return tmp_path


def experiment(seed, factor=1.0):
    calls.append(seed)
    return {"ours": {"k-NN": 10 * factor + seed, "curve": [1, seed]}, "control": {"k-NN": float(seed)}}


calls = []


def run(seeds=(0, 1, 2), **settings):
    calls.clear()
    return studies.run("toy", experiment, seeds=seeds, progress=False, **settings)


def test_measured_once_then_kept(folder):
    first, again = run(), run()
    assert not first.kept and again.kept and calls == []
    assert again.results == first.results and again.seconds == first.seconds
    assert "from the record" in str(again)
    assert json.loads((folder / "toy-lab.json").read_text())["settings"] == {"scale": "lab"}


def test_other_settings_are_measured(folder):
    run()
    assert run(factor=2.0).values("ours", "k-NN") == [20, 21, 22] and calls == [0, 1, 2]


def test_more_seeds_add_to_the_record():
    run(seeds=(0,))
    assert list(run(seeds=(0, 1)).results) == [0, 1] and calls == [1]
    assert list(run(seeds=(1,)).results) == [1] and calls == []


def test_comments_and_layout_are_not_code():
    one = "def f(seed):\n    if seed:\n        seed = g(1, f'{seed}')\n    return seed\n"
    same = 'def f( seed ):  # so\n    if seed:\n\n        seed = g(\n            1,\n            f"{seed}",\n        )\n    return seed'
    assert studies.digest(one) == studies.digest(same) == studies.digest("    " + one.replace("\n", "\n    "))
    for old, new in (("1", "2"), ("    return", "        return"), ("g(", "h(")):
        assert studies.digest(one.replace(old, new)) != studies.digest(one)


def test_other_code_is_measured(monkeypatch):
    run()
    monkeypatch.setattr(studies, "digest", lambda source: "other")
    assert not run().kept and calls == [0, 1, 2]


def test_an_interrupted_study_goes_on():
    def fails(seed):
        calls.append(seed)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return {"a": {"x": seed}}

    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        studies.run("broken", fails, seeds=(0, 1, 2), progress=False)
    assert studies.run("broken", fails, seeds=(0, 1, 2), progress=False).values("a", "x") == [0, 1, 2]
    assert calls == [0, 1, 1, 2]


def test_fresh_measures_in_any_case(monkeypatch):
    run()
    monkeypatch.setenv("SSLWORK_FRESH", "1")
    assert not run().kept and calls == [0, 1, 2]


def test_paired_differences_and_table():
    study = run()
    assert study.arms == ["ours", "control"]
    assert study.difference("ours", "control", "k-NN") == [10, 10, 10]
    assert study.mean("ours", "k-NN") == 11
    assert study.table().loc["ours", "k-NN"] == "11.0 ± 1.0"
    assert "curve" not in study.table()


def test_counts_stand_as_whole_numbers():
    study = studies.Study(
        "toy", {}, "", {seed: {"a": {"parameters": 93472.0, "k-NN": 80.0}} for seed in (0, 1)}
    )
    assert study.table().loc["a"].tolist() == ["93,472", "80.0"]


def test_nan_is_refused_before_it_is_kept(folder):
    with pytest.raises(ValueError, match="study 'bad': x of a is nan"):
        studies.run("bad", lambda seed: {"a": {"x": float("nan")}}, seeds=(0,), progress=False)
    assert not list(folder.glob("bad*"))


def test_a_user_without_the_repository_keeps_records_in_the_cache(folder, monkeypatch, tmp_path):
    monkeypatch.delenv("SSLWORK_STUDIES")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache")
    run(factor=3.0)
    assert run(factor=3.0).kept and len(list((tmp_path / "cache" / "studies").iterdir())) == 1
