"""Checkpoints: killed, out of disk or given to the wrong model, nothing that was computed is lost."""

import os
import subprocess
import sys
import textwrap

import pytest
import torch
from test_train import SMALL, make, weights

from sslwork import checkpoint, encoders, methods, train
from sslwork.checkpoint import CheckpointError
from sslwork.panel import Panel


def test_killed_while_saving_keeps_the_former_checkpoint(tmp_path):
    """SIGKILL at any moment of a loop of saves: the file that is there can always be read, and is whole."""
    script = """
        import os, signal, sys, time, torch
        from sslwork import checkpoint
        path = sys.argv[1]
        for pause in (0.0, 0.013, 0.037, 0.1):
            if os.path.exists(path): os.remove(path)
            child, step = os.fork(), 0
            while child == 0:
                step += 1
                checkpoint.save({"step": step, "x": torch.full((400_000,), float(step))}, path)
            while not os.path.exists(path): time.sleep(0.001)
            time.sleep(pause)
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            assert os.WIFSIGNALED(status), "it ended by itself"
            state = checkpoint.load(path)
            assert (state["x"] == state["step"]).all()
    """
    run_on_one_thread(script, tmp_path / "c.pt")


def run_on_one_thread(script, path):
    """What a process prints that forks: one with more threads may hang there."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_killed_twenty_times_it_ends_with_the_same_bits(tmp_path):
    """SIGKILL at random moments, in a step, a look or a save; each next process goes on from what the last one left."""
    script = """
        import mmap, os, random, signal, sys, threading, time
        import torch, tqdm
        from sslwork import checkpoint, data, encoders, methods, train
        from sslwork.panel import Panel

        # The lock of tqdm is shared by forks, and would stay taken by one that is killed.
        tqdm.tqdm.set_lock(threading.RLock())
        path = sys.argv[1]
        pictures = data.load("stickers", copies=2, size=16)
        panel = Panel(pictures, data.load("stickers", split="test", copies=2, size=16))

        steps = mmap.mmap(-1, 1)  # what a child has taken, seen by its parent

        def count(run):
            steps[0] += 1

        def fit(path=None):
            method = methods.SimCLR(encoders.conv(4, 2), dim=8)
            options = dict(steps=40, batch_size=32, every=2, panel=panel, progress=False)
            return train.fit(method, pictures, checkpoint=path, show=count, **options)

        started = time.monotonic()
        whole = fit().state_dict()
        step = (time.monotonic() - started) / steps[0]
        draw, kills, reached, finished = random.Random(0), 0, set(), 0
        while kills < 20 or os.path.exists(path):
            steps[0], last, ended = 0, draw.randrange(6), 0
            child = os.fork()
            if child == 0:
                fit(path)
                os._exit(0)
            while kills < 20 and steps[0] < last and not ended:  # by steps, not by the clock: cores may be busy
                time.sleep(0.001)
                ended, status = os.waitpid(child, os.WNOHANG)
            if not ended:
                if kills < 20:
                    time.sleep(draw.uniform(0, 2 * step))
                    os.kill(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                kills += 1
                reached.add(checkpoint.load(path)["step"] if os.path.exists(path) else 0)
                continue
            state = checkpoint.load(path)
            assert state["losses"] == whole["losses"]
            for part in ("method", "optimiser"):
                assert str(state[part]) == str(whole[part]), part
            for name, value in whole["method"].items():
                assert torch.equal(state["method"][name], value), name
            assert torch.equal(state["generator"], whole["generator"])
            os.remove(path)
            finished += 1
        left = os.listdir(os.path.dirname(path))
        print("KILLS", kills, "STEPS", len(reached), "FINISHED", finished, "LEFT", len(left))
    """
    _, kills, _, steps, _, finished, _, left = run_on_one_thread(script, tmp_path / "c.pt").split()
    assert int(left) == 0, "what killed saves leave is swept up by the next"
    assert int(kills) == 20 and int(finished) >= 1
    assert int(steps) >= 4, "the kills must fall at different places"


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


def test_a_checkpoint_of_another_version_says_so(stickers, tmp_path):
    run = train.fit(make(), stickers, **SMALL)
    path = checkpoint.save(run.state_dict() | {"sslwork": "0.0.1"}, tmp_path / "c.pt")
    with pytest.warns(UserWarning, match=r"written by sslwork 0\.0\.1"):
        train.fit(make(), stickers, checkpoint=path, **SMALL)


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


def test_a_finished_checkpoint_has_its_verdict(stickers, throws, tmp_path):
    panel, path = Panel(stickers, throws), tmp_path / "c.pt"
    first = train.fit(make(), stickers, panel=panel, checkpoint=path, **SMALL)
    again = train.fit(make(seed=3), stickers, panel=panel, checkpoint=path, **SMALL)
    assert again.reading.verdict == first.reading.verdict
    assert len(again.history) == len(first.history)
