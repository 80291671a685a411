"""The rank lab: what the panel keeps, what a record keeps of it, and the lab's verdicts, by its attributes."""

import math

import pytest
import torch
from test_train import stop_at

from sslwork import encoders, measures, methods, plots, train
from sslwork.embedding import embed
from sslwork.measures.collapse import Verdict, deviation, through_head
from sslwork.panel import Panel
from sslwork.plots.style import png, size
from sslwork.record import Record
from sslwork.run import Run
from sslwork.seeds import generator
from sslwork.widgets import RankLab

SMALL = {"steps": 8, "every": 4, "batch_size": 32, "progress": False}


@pytest.fixture(scope="module")
def panel(stickers, throws) -> Panel:
    return Panel(stickers, throws, k=5)


@pytest.fixture(scope="module")
def run(stickers, panel) -> Run:
    return train.fit(methods.SimCLR(encoders.conv(4, 2), dim=8), stickers, panel=panel, **SMALL)


@pytest.fixture(scope="module")
def narrow(stickers, panel) -> Run:
    """Stopped by the student at step 5 of 8, with a narrower head."""
    method = methods.SimCLR(encoders.conv(4, 2), dim=3)
    return train.fit(method, stickers, panel=panel, show=stop_at(5), **SMALL)


# The panel


def test_the_panel_measures_on_both_sides_of_the_head(run, panel, throws) -> None:
    y, z = embed(run.method.encoder, throws), embed(run.method, panel.pair[0])
    row, spectra = run.history[-1], run.spectra[8]
    for rows, rank, spread, name, wide in (
        (y, "rank_before", "spread_before", "representation", "deviation_before"),
        (z, "rankme", "spread", "embedding", "deviation"),
    ):
        assert row[rank] == measures.rankme(rows)
        assert row[spread] == pytest.approx(float(spectra[wide].mean()), rel=1e-12)
        assert torch.equal(spectra[name], measures.singular_values(rows))
        assert torch.equal(spectra[wide], deviation(rows))


def test_deviation_is_its_formula() -> None:
    z = torch.randn(30, 5, generator=generator(0), dtype=torch.double)
    for d in range(5):
        unit = [float(row[d]) / math.sqrt(sum(float(x) ** 2 for x in row)) for row in z]
        mean = sum(unit) / 30
        loop = math.sqrt(5 * sum((x - mean) ** 2 for x in unit) / 29)
        assert float(deviation(z)[d]) == pytest.approx(loop, rel=1e-12)
    assert torch.allclose(deviation(3 * z), deviation(z))
    assert deviation(torch.ones(4, 2)).tolist() == [0, 0]
    even = deviation(torch.randn(20_000, 6, generator=generator(1)))
    assert even.tolist() == pytest.approx([1] * 6, abs=0.02)
    with pytest.raises(ValueError, match="NaN"):
        deviation(z * math.nan)


@pytest.mark.parametrize(("before", "after", "words"), [
    ((0.5, 31), (0.9, 27), "Healthy: embedding uses 27 of 64 directions, representation 31 of 64."),
    ((0.5, 31), (0.5, 5), "Dimensional collapse in the head: embedding uses 5.0 of 64 directions, representation 31 of 64."),
    ((0.5, 3), (0.5, 5), "Dimensional collapse before the head already"),
    ((0.5, 31), (0.01, 5), "Collapsed: embeddings nearly all alike (spread 0.01 of 1), representation uses 31 of 64"),
    ((0.5, 3), (0.01, 1), "Collapsed, and poor before the head:"),
    ((0.1, 31), (0.9, 27), "Healthy, but poor before the head"),
])  # fmt: skip
def test_two_verdicts_in_one_sentence(before, after, words) -> None:
    assert words in through_head(Verdict.of(*before, 64), Verdict.of(*after, 64))


def test_a_head_wider_than_what_fills_it_is_called_so() -> None:
    said = through_head(Verdict.of(0.5, 18, 64), Verdict.of(0.9, 30, 512))
    assert said.startswith("Dimensional") and "wider than what fills it" in said


def test_a_kept_verdict_is_the_verdict() -> None:
    z = torch.randn(50, 8, generator=generator(2))
    found = measures.collapse(z)
    assert Verdict.of(found.spread, found.rank, found.width) == found


# Records


def test_a_record_is_drawn_as_its_run(run) -> None:
    record = Record.of(run)
    assert record.step == 8 and record.spectra.keys() == run.spectra.keys()
    assert math.isnan(record.history[0]["loss"])  # no step, no loss
    assert png(plots.training(record)) == png(plots.training(run))


def test_a_record_does_not_follow_its_run(stickers, panel) -> None:
    run = train.fit(
        methods.SimCLR(encoders.conv(4, 2), dim=8), stickers, panel=panel, show=stop_at(4), **SMALL
    )
    record = Record.of(run)
    run.resume(progress=False)
    assert len(run.history) == 3 and len(record.history) == 2 and len(record.losses) == 4


def test_the_last_look_up_to_a_step(run) -> None:
    record = Record.of(run)
    assert record.at(-1) is None
    assert [record.at(step)[0]["step"] for step in (0, 3, 4, 7, 99)] == [0, 0, 4, 4, 8]


@pytest.mark.parametrize(("make", "told"), [
    (lambda: Record(1, [], {4: {}}), r"steps \[4\] of which history has no row"),
    (lambda: Record(1, [{"step": 0}], {0: {"embedding": [1.0, math.nan]}}), r"spectra\[0\]\['embedding'\] must be"),
    (lambda: Record(1, [{"step": 0}], {0: {"embedding": []}}), "list of finite numbers"),
    (lambda: Record.of(Record(1, [{"step": 0}], {0: {"embedding": [[1.0]]}})), r"got \[\[1\.0\]\]"),
])  # fmt: skip
def test_what_is_no_record_is_refused(make, told) -> None:
    with pytest.raises(ValueError, match=told):
        make()


# The lab


def test_the_lab_shows_each_run_as_it_was_at_the_step(run, narrow) -> None:
    lab = RankLab({"wide": run, "narrow": narrow})
    assert lab.steps.options == (0, 4, 8) and lab.step == 8 and lab.chosen == ("wide", "narrow")
    before, after = lab.verdicts["wide"]
    assert (
        after == run.reading.verdict and before.rank == run.history[-1]["rank_before"] and before.width == 8
    )
    assert lab.verdicts["narrow"][1].rank == narrow.history[-1]["rankme"]
    assert "narrow (step 4):" in lab.sentence and "wide:" in lab.sentence
    for step in (0, 4):
        before_the_move = lab.picture.value
        lab.step = step
        assert lab.picture.value != before_the_move
        assert lab.verdicts["wide"][1].rank == run.history[step // 4]["rankme"]
    lab.step = 0
    assert "(untrained)" in lab.words.value


def test_runs_are_chosen_and_the_one_looked_at_closely_is_seen(run, narrow) -> None:
    lab = RankLab({"wide": run, "narrow": narrow})
    lab.chosen = ["narrow"]
    assert not lab.boxes["wide"].value and list(lab.verdicts) == ["narrow"] and "wide:" not in lab.words.value
    lab.menu.value = "narrow"
    assert lab.chosen == ("narrow",)
    lab.closely = "wide"
    assert set(lab.chosen) == {"wide", "narrow"}
    for box in lab.boxes.values():
        box.value = False
    assert lab.chosen == () and "Choose a run" in lab.words.value and lab.sentence == "No run is chosen."
    for attribute, wrong in (("step", 5), ("chosen", ["other"]), ("chosen", []), ("closely", "other")):
        with pytest.raises(ValueError, match=attribute):
            setattr(lab, attribute, wrong)


def test_runs_records_and_checkpoints_give_the_same_lab(run, stickers, panel, tmp_path) -> None:
    restored = train.fit(
        methods.SimCLR(encoders.conv(4, 2), dim=8),
        stickers,
        panel=panel,
        checkpoint=run.save(tmp_path / "c.pt"),
        **SMALL,
    )
    labs = [RankLab({"x": each}) for each in (run, Record.of(run), restored)]
    assert len({lab.sentence for lab in labs}) == 1
    assert labs[0].picture.value == labs[1].picture.value == labs[2].picture.value


def test_the_lab_leaves_a_still_of_the_page_s_size(run, narrow) -> None:
    lab = RankLab({f"run {i}": each for i, each in enumerate([run, narrow] * 5)})
    left = lab._bundle()
    assert len(left["image/png"]) * 3 / 4 < 120_000 and left["text/plain"].endswith(".")
    width, height = size(lab.still())
    assert width <= 900 and height <= 420
    lab._ipython_display_()


def test_what_is_drawn_is_what_was_measured(run, narrow) -> None:
    after, before, spread, rank, *_ = plots.ranks({"a": Record.of(run), "b": Record.of(narrow)}, 4).axes
    s = run.spectra[4]["embedding"]
    assert after.lines[0].get_ydata().tolist() == pytest.approx((s / s[0]).clamp(min=1e-5).tolist())
    assert after.lines[1].get_xdata().tolist() == [run.history[1]["rankme"]]
    assert before.lines[1].get_xdata().tolist() == [run.history[1]["rank_before"]]
    assert spread.lines[0].get_ydata().tolist() == sorted(run.spectra[4]["deviation"].tolist(), reverse=True)
    assert rank.lines[0].get_ydata().tolist() == [row["rank_before"] for row in run.history]
    with pytest.raises(ValueError, match="empty"):
        plots.ranks({}, 0)


def test_what_the_lab_cannot_read_is_refused(run, stickers) -> None:
    with pytest.raises(ValueError, match="runs is empty"):
        RankLab({})
    blind = train.fit(methods.SimCLR(encoders.conv(4, 2), dim=8), stickers, **SMALL)
    with pytest.raises(ValueError, match="'blind' was never looked at: train it with a panel"):
        RankLab({"blind": blind})
    poor = Record(0, [{"step": 0, "rankme": 1.0}], {0: {"embedding": [1.0]}})
    with pytest.raises(ValueError, match=r"'poor' lacks .*'rank_before'.* at step 0"):
        RankLab({"poor": poor})


def test_without_labels_there_is_no_accuracy_but_all_the_rest(stickers) -> None:
    from sslwork.data import PictureSet

    plain = PictureSet(stickers.images)
    run = train.fit(methods.SimCLR(encoders.conv(4, 2), dim=8), plain, panel=Panel(plain, plain), **SMALL)
    lab = RankLab({"plain": run})
    assert "no labels" in lab.still().axes[-1].texts[0].get_text() and lab.verdicts["plain"][1].width == 8
