"""Training: every method learns, stops, resumes bit for bit, and loses nothing."""

import inspect
import os
import signal

import pytest
import torch

from sslwork import checkpoint, encoders, methods, schedule, train
from sslwork.embedding import embed
from sslwork.panel import Panel
from sslwork.views import Views

METHODS = [
    kind
    for _, kind in inspect.getmembers(methods, inspect.isclass)
    if issubclass(kind, methods.Method) and kind is not methods.Method
]
SMALL = {"steps": 8, "batch_size": 32, "progress": False}


def make(kind=methods.SimCLR, seed=0):
    return kind(encoders.conv(4, 2, seed=seed), dim=8, seed=seed)


def weights(module):
    return torch.cat([value.flatten().float() for value in module.state_dict().values()])


@pytest.mark.parametrize("kind", METHODS)
def test_every_method(kind, stickers, throws, tmp_path):
    """A few steps, finite loss, state dict round trip, resume equals uninterrupted."""
    panel = Panel(stickers, throws, Views())
    whole = train.fit(make(kind), stickers, panel=panel, **SMALL)
    assert whole.done and len(whole.losses) == 8
    assert torch.isfinite(torch.tensor(whole.losses)).all()
    assert [row["step"] for row in whole.history] == list(range(9))
    assert whole.snapshots[8].shape == (len(throws), whole.method.encoder.out_features)

    half = train.fit(make(kind), stickers, panel=panel, show=stop_at(3), **SMALL)
    assert half.step == 3 and not half.done
    half.save(tmp_path / "half.pt")
    other = train.fit(make(kind, seed=9), stickers, panel=panel, show=stop_at(1), **SMALL)
    other.load(tmp_path / "half.pt").resume(progress=False)
    assert torch.equal(weights(other.method), weights(whole.method))
    assert other.losses == whole.losses
    assert torch.equal(other.snapshots[8], whole.snapshots[8])


def stop_at(step):
    """What a student does: interrupt the kernel while it trains."""

    def show(run):
        if run.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return show


def test_learns_what_the_pixels_do_not_show():
    """Sixty steps beat the untrained encoder and raw pixels by far; the notebook measures how far over three seeds."""
    from sslwork import data, measures

    pictures, test = data.load("stickers", copies=20), data.load("stickers", split="test", copies=5)
    method = methods.SimCLR(encoders.conv(8, 3))

    def accuracy(before, after):
        return measures.knn(before, pictures.labels, after, test.labels).value

    untrained = accuracy(embed(method.encoder, pictures), embed(method.encoder, test))
    train.fit(method, pictures, steps=60, progress=False)
    trained = accuracy(embed(method.encoder, pictures), embed(method.encoder, test))
    assert trained > max(untrained, accuracy(pictures.raw(), test.raw())) + 0.1


def test_without_a_push_it_collapses(stickers, throws):
    panel = Panel(stickers, throws, Views())
    run = train.fit(
        make(methods.PullOnly), stickers, panel=panel, steps=120, batch_size=64, lr=0.01, progress=False
    )
    assert run.reading.verdict.state == "collapsed"
    assert run.losses[-1] < 0.1


def test_same_seed_same_bits(stickers):
    runs = [train.fit(make(), stickers, seed=seed, **SMALL) for seed in (0, 0, 1)]
    assert torch.equal(weights(runs[0].method), weights(runs[1].method))
    assert not torch.equal(weights(runs[0].method), weights(runs[2].method))


def test_other_thread_counts_give_the_same_within_tolerance(stickers):
    """Sums are added up in another order: the losses of a short run agree to 1e-3, as the docs say."""
    curves = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            curves.append(train.fit(make(), stickers, **SMALL).losses)
    finally:
        torch.set_num_threads(before)
    assert curves[1] == pytest.approx(curves[0], rel=1e-3)


def test_interrupt_leaves_a_usable_model_and_goes_on_exactly(stickers, capsys):
    whole = train.fit(make(), stickers, **SMALL)
    run = train.fit(make(), stickers, show=stop_at(4), **SMALL)
    assert run.step == 4
    assert "step 4 of 8" in capsys.readouterr().out
    assert torch.isfinite(embed(run.method, stickers)).all()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    run.resume(progress=False)
    assert torch.equal(weights(run.method), weights(whole.method))


@pytest.mark.parametrize("stop", [0, 6])
def test_interrupt_saves_and_resume_goes_on_saving(stickers, tmp_path, stop):
    """Wherever the interrupt lands, while it draws before the first step too."""
    path, options = tmp_path / "c.pt", SMALL | {"steps": 40}
    run = train.fit(make(), stickers, checkpoint=path, show=stop_at(stop), **options)
    assert checkpoint.load(path)["step"] == run.step == stop
    run.resume(progress=False)
    assert checkpoint.load(path)["step"] == 40


def test_second_interrupt_stops_at_once(stickers):
    def show(run):
        if run.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train.fit(make(), stickers, show=show, **SMALL)


def test_fit_goes_on_from_its_checkpoint(stickers, tmp_path):
    path = tmp_path / "runs" / "simclr.pt"
    whole = train.fit(make(), stickers, **SMALL)
    train.fit(make(), stickers, checkpoint=path, show=stop_at(5), **SMALL)
    run = train.fit(make(), stickers, checkpoint=path, **SMALL)
    assert torch.equal(weights(run.method), weights(whole.method))
    assert [p.name for p in path.parent.iterdir()] == ["simclr.pt"], "no half-written files stay behind"


def test_precision_and_compilation(stickers):
    """bfloat16 networks learn as float32 ones do, roughly; a compiled step gives the same run."""
    plain, half, compiled = (
        train.fit(make(), stickers, **options, **SMALL)
        for options in ({}, {"precision": "bfloat16"}, {"compile": "eager"})
    )
    assert half.losses == pytest.approx(plain.losses, rel=0.05) and half.losses != plain.losses
    assert compiled.losses == pytest.approx(plain.losses, rel=1e-4)
    assert all(w.dtype == torch.float32 for w in half.method.parameters())
    with pytest.raises(ValueError, match="precision must be 'float32' or 'bfloat16', got 'float16'"):
        train.fit(make(), stickers, precision="float16", **SMALL)


def test_one_picture_is_too_few(stickers):
    with pytest.raises(ValueError, match="one picture"):
        train.fit(make(), stickers[:1], **SMALL)


def test_small_sets_become_one_batch(stickers):
    run = train.fit(make(), stickers[:5], steps=2, batch_size=256, progress=False)
    assert run.plan["batch_size"] == 5


def test_a_loss_that_blows_up_says_so(stickers):
    with pytest.raises((FloatingPointError, ValueError), match="learning rate"):
        train.fit(make(), stickers, steps=200, batch_size=32, lr=1e30, progress=False)


@pytest.mark.parametrize("bad", [{"steps": 2.5}, {"steps": 0}, {"batch_size": 1}, {"every": -1}])
def test_bad_plans(stickers, bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must be a whole number"):
        train.fit(make(), stickers, **SMALL | bad)


def test_panel_without_labels_has_no_accuracy(stickers):
    from sslwork.data import PictureSet

    plain = PictureSet(stickers.images)
    run = train.fit(make(), plain, panel=Panel(plain, plain, Views()), **SMALL)
    assert "knn" not in run.history[-1] and run.history[-1]["rankme"] >= 1


def test_measuring_does_not_change_training(stickers, throws):
    measured = train.fit(make(), stickers, panel=Panel(stickers, throws, Views()), every=1, **SMALL)
    plain = train.fit(make(), stickers, **SMALL)
    assert torch.equal(weights(measured.method), weights(plain.method))


def test_every_epoch_sees_every_picture_once():
    first, second = (
        [row for s in range(e * 4, e * 4 + 4) for row in schedule.batch_rows(s, 17, 4, 0).tolist()]
        for e in (0, 1)
    )
    assert len(set(first)) == len(set(second)) == 16
    assert first != second
    for size in (0, 18):
        with pytest.raises(ValueError, match=rf"batch_size must lie in 1\.\.17.*got {size}"):
            schedule.batch_rows(0, 17, size, 0)


def test_learning_rate_rises_then_falls():
    rates = [schedule.learning_rate(step, 100, 1.0) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0) and rates[-1] < 0.01
    assert rates.index(max(rates)) in (9, 10)
