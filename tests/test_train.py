"""Training: every method learns, stops, resumes bit for bit, and loses nothing."""

import contextlib
import inspect
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch

from sslwork import checkpoint, encoders, methods, schedule, train
from sslwork.checkpoint import CheckpointError
from sslwork.embedding import embed
from sslwork.panel import Panel
from sslwork.views import Views

METHODS = [kind for _, kind in inspect.getmembers(methods, inspect.isclass) if kind is not methods.Method]
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


def test_killed_while_saving_keeps_the_former_checkpoint(tmp_path):
    """SIGKILL at any moment of a loop of saves: the file that is there can always be read, and is whole."""
    script = """
        import sys, torch
        from sslwork import checkpoint
        step = 0
        while True:
            step += 1
            checkpoint.save({"step": step, "x": torch.full((400_000,), float(step))}, sys.argv[1])
            if step == 1: print("ready", flush=True)
    """
    path = tmp_path / "c.pt"
    for pause in (0.0, 0.013, 0.037, 0.1):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), str(path)], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(pause)
        process.kill()
        process.wait()
        state = checkpoint.load(path)
        assert (state["x"] == state["step"]).all()


def test_full_disk_keeps_the_former_checkpoint_and_the_training(tmp_path):
    """A real failing write (the file size limit of the process): training goes on, the former file stays whole."""
    script = """
        import resource, signal, sys, warnings
        from sslwork import checkpoint, data, encoders, methods, train
        pictures = data.load("stickers", copies=2, size=16)
        make = lambda: methods.SimCLR(encoders.conv(4, 2), dim=8)
        options = dict(steps=6, batch_size=32, progress=False)
        run = train.fit(make(), pictures, show=None, **options)
        run.save(sys.argv[1])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        try:
            run.save(sys.argv[1])
        except checkpoint.CheckpointError as error:
            print("REFUSED", error)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            again = train.fit(make(), pictures, checkpoint=sys.argv[1] + ".new", **options)
        print("TRAINED", again.done, "WARNED", any("training goes on" in str(w.message) for w in caught))
        print("FORMER", checkpoint.load(sys.argv[1])["step"])
    """
    path = tmp_path / "c.pt"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path)], capture_output=True, text=True, check=True
    )
    assert "REFUSED could not save" in done.stdout and "former checkpoint is untouched" in done.stdout
    assert "run.save(path)" in done.stdout
    assert "TRAINED True WARNED True" in done.stdout
    assert "FORMER 6" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_checkpoint_of_another_model_is_refused_by_key(stickers, tmp_path):
    path = train.fit(make(), stickers, **SMALL).save(tmp_path / "c.pt")
    deeper = methods.SimCLR(encoders.conv(4, 3), dim=8)
    with pytest.raises(CheckpointError, match=r"another model than SimCLR.*missing: encoder\.net\.6\.weight"):
        train.fit(deeper, stickers, checkpoint=path, **SMALL)
    wider = methods.SimCLR(encoders.conv(8, 2), dim=8)
    before = weights(wider).clone()
    with pytest.raises(
        CheckpointError, match=r"of another shape: .*\(4, 3, 3, 3\) instead of \(8, 3, 3, 3\)"
    ):
        train.fit(wider, stickers, checkpoint=path, **SMALL)
    assert torch.equal(weights(wider), before), "a refused checkpoint changes nothing"


def test_checkpoint_of_other_settings_or_data_is_refused(stickers, throws, tmp_path):
    path = train.fit(make(), stickers, **SMALL).save(tmp_path / "c.pt")
    method = make(seed=5)
    before = weights(method).clone()
    with pytest.raises(CheckpointError, match=r"lr 0\.003 instead of 0\.1"):
        train.fit(method, stickers, checkpoint=path, lr=0.1, **SMALL)
    method.temperature = 5.0
    with pytest.raises(CheckpointError, match=r"settings .*0\.2.* instead of .*5\.0"):
        train.fit(method, stickers, checkpoint=path, **SMALL)
    assert torch.equal(weights(method), before), "a refused checkpoint changes nothing"
    with pytest.raises(CheckpointError, match="with data"):
        train.fit(make(), throws, checkpoint=path, **SMALL)


def test_checkpoints_run_no_code(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (os.system, ("touch pwned",))

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    torch.save({"x": Evil()}, tmp_path / "evil2.pt")
    (tmp_path / "text.pt").write_text("hello")
    for name in ("evil.pt", "evil2.pt", "text.pt"):
        with pytest.raises(CheckpointError, match="can be read safely"):
            checkpoint.load(tmp_path / name)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoint.load(tmp_path / "absent.pt")


def test_one_picture_is_too_few(stickers):
    with pytest.raises(ValueError, match="one picture"):
        train.fit(make(), stickers[:1], **SMALL)


def test_small_sets_become_one_batch(stickers):
    run = train.fit(make(), stickers[:5], steps=2, batch_size=256, progress=False)
    assert run.plan["batch_size"] == 5


def test_a_loss_that_blows_up_says_so(stickers):
    with pytest.raises((FloatingPointError, ValueError), match="learning rate"):
        train.fit(make(), stickers, steps=200, batch_size=32, lr=1e30, progress=False)


def test_a_finished_checkpoint_has_its_verdict(stickers, throws, tmp_path):
    panel, path = Panel(stickers, throws), tmp_path / "c.pt"
    first = train.fit(make(), stickers, panel=panel, checkpoint=path, **SMALL)
    again = train.fit(make(seed=3), stickers, panel=panel, checkpoint=path, **SMALL)
    assert again.reading.verdict == first.reading.verdict
    assert len(again.history) == len(first.history)


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


def test_learning_rate_rises_then_falls():
    rates = [schedule.learning_rate(step, 100, 1.0) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0) and rates[-1] < 0.01
    assert rates.index(max(rates)) in (9, 10)
