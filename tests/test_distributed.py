"""Two processes give what one process with the whole batch gives."""

import runpy
import subprocess
import sys
import textwrap
from functools import partial

import nbformat
import numpy as np
import pytest
import torch
import torch.distributed as dist
from nbclient import NotebookClient
from torch import nn

from sslwork import distributed, encoders, losses, measures, methods, train
from sslwork.distributed import launch
from sslwork.embedding import embed
from sslwork.panel import Panel

TWO = {"devices": 2, "accelerator": "cpu"}

MIXED = {"mix": 0.3, "permutation": torch.arange(12).roll(5), "off_diagonal": 0.2, "regularisation": 4.0}
# Each loss of the package as a function of so many tensors (12, 5), row i for picture i: a new loss needs a line here.
ROWS = {
    "ISogCLR": (2, lambda *z: losses.ISogCLR(20, rho=0.3, gamma=0.8)(*z, torch.arange(12) + 5)),
    "align_uniform": (2, losses.align_uniform),
    "barlow_twins": (2, losses.barlow_twins),
    "byol": (4, losses.byol),
    "cacr": (3, lambda *views: losses.cacr(views, tau_pos=1.0, tau_neg=2.0)),
    "dcl": (2, losses.dcl),
    "dclw": (2, losses.dclw),
    "distillation": (2, losses.distillation),
    "groco": (3, partial(losses.groco, top_k=4)),
    "hard_contrastive": (2, partial(losses.hard_contrastive, temperature=0.3, alpha=0.4)),
    "info_nce": (3, partial(losses.info_nce, temperature=0.3)),
    "mixed_barlow_twins": (3, partial(losses.mixed_barlow_twins, **MIXED)),
    "mochi": (2, lambda q, k: losses.mochi(q, k, q.roll(1, 0), q.roll(1, 1)[:, None], temperature=0.3)),
    "nt_xent": (2, losses.nt_xent),
    "selfcon": (2, lambda *z: losses.selfcon(torch.stack(z, 1), torch.arange(12) % 5)),
    "simple_contrastive": (2, partial(losses.simple_contrastive, weight=0.1, alpha=0.4)),
    "simsiam": (4, losses.simsiam),
    "supcon": (1, lambda z: losses.supcon(z, torch.arange(12) % 5)),
    "swav": (3, losses.swav),
    "trades": (2, lambda *z: losses.trades(*z, torch.arange(12) % 5)),
    "vicreg": (2, losses.vicreg),
}
# What serves a loss and is none.
NO_LOSS = {"mochi_negatives", "sinkhorn", "sort_relaxed", "temperature_for"}


def value_and_gradients(loss, rows):
    """Of the loss of the gathered rows, each process holding its share; gradients of all rows, in order."""
    mine = [distributed.part(row).clone().requires_grad_() for row in rows]
    value = loss(*map(distributed.gather, mine))
    value.backward()
    # What the mean of DistributedDataParallel does to the weights' gradients.
    gradients = [row.grad for row in mine if row.grad is not None]  # targets have none
    return value.detach(), [distributed.gather(grad) / distributed.world_size() for grad in gradients]


def test_every_loss_is_here():
    assert set(losses.__all__) == ROWS.keys() | NO_LOSS


@pytest.mark.parametrize("name", ROWS)
def test_every_loss(name):
    count, loss = ROWS[name]
    rows = torch.randn(count, 12, 5, generator=torch.Generator().manual_seed(0)).double()
    value, gradients = value_and_gradients(loss, rows)
    both_value, both_gradients = launch(value_and_gradients, loss, rows, **TWO)
    torch.testing.assert_close(both_value, value, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(both_gradients, gradients, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_sees_the_whole_batch(momentum):
    x = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0)).double()

    def step(x):
        norm = distributed.parallel(nn.BatchNorm2d(3, momentum=momentum).double(), torch.device("cpu"))
        for _ in range(2):
            mine = distributed.part(x).clone().requires_grad_()
            out = distributed.gather(norm(mine))
            out.pow(3).mean().backward()
        state = {name.removeprefix("module."): value for name, value in norm.state_dict().items()}
        state["grad"] = next(norm.parameters()).grad
        return out.detach(), distributed.gather(mine.grad) / distributed.world_size(), state

    torch.testing.assert_close(launch(step, x, **TWO), step(x), rtol=1e-6, atol=1e-9)


KINDS = [
    kind
    for kind in map(vars(methods).get, methods.__all__)
    if issubclass(kind, methods.Method) and kind is not methods.Method
]
SMALL = {"steps": 6, "batch_size": 32, "progress": False}


def trained(kind, stickers, throws=None, **options):
    """The weights, the losses and the panel after a short run.

    In double precision: AdamW makes a gradient as large as any that is rounding alone, as that of a bias which the loss
    does not see (the last one of BYOL's projector, before the predictor's batch norm).
    """
    method = kind(encoders.conv(4, 2), dim=8).double()
    panel = Panel(stickers, throws) if throws else None
    run = train.fit(method, stickers, panel=panel, **(SMALL | options))
    return method.state_dict(), run.losses, [row.get("rankme") for row in run.history]


@pytest.mark.parametrize("kind", KINDS)
def test_fit_gives_the_run_of_one_process(kind, stickers, throws):
    weights, curve, panel = trained(kind, stickers, throws)
    both_weights, both_curve, both_panel = launch(trained, kind, stickers, throws, **TWO)
    # A loss that is a difference, as CACR's, may pass through zero.
    assert both_curve == pytest.approx(curve, rel=1e-9, abs=1e-9)
    assert both_panel == pytest.approx(panel, rel=1e-5)  # embeddings are float32
    torch.testing.assert_close(both_weights, weights, rtol=1e-7, atol=1e-7)


def test_a_run_goes_on_with_another_number_of_processes(stickers, tmp_path):
    path = tmp_path / "run.pt"

    def half(path):
        method = methods.SimCLR(encoders.conv(4, 2), dim=8)
        train.fit(method, stickers, checkpoint=path, show=lambda run: stop(run, 3), **SMALL)

    launch(half, path, **TWO)
    run = train.fit(methods.SimCLR(encoders.conv(4, 2), dim=8), stickers, checkpoint=path, **SMALL)
    assert run.done
    assert run.losses == pytest.approx(trained(methods.SimCLR, stickers)[1], rel=1e-4)


def stop(run, step):
    """One process is interrupted: both stop after the same step."""
    import os
    import signal

    if run.step == step and distributed.rank() == 1:
        os.kill(os.getpid(), signal.SIGINT)


def test_a_batch_that_cannot_be_shared(stickers):
    with pytest.raises(Exception, match="batch_size 33 cannot be shared evenly by 2 processes"):
        launch(trained, methods.SimCLR, stickers, batch_size=33, **TWO)


@pytest.mark.parametrize("rows", [1, 7, 24])
def test_embeddings_come_in_order_once_each(rows, stickers, tmp_path):
    encoder = encoders.conv(4, 2)
    whole = embed(encoder, stickers[:rows])
    options = {"batch_size": 4, **TWO}
    torch.testing.assert_close(launch(embed, encoder, stickers[:rows], **options), whole)
    torch.testing.assert_close(
        launch(embed, encoder, stickers[:rows], out=tmp_path / "rows.npy", **options), whole
    )
    assert np.load(tmp_path / "rows.npy").shape == whole.shape


def test_measures_merge(stickers):
    """Each process takes in its own rows; the sums of all are those of one pass."""
    rows, labels = stickers.raw()[:96, ::8], stickers.labels[:96]

    def merged():
        own = slice(distributed.rank(), None, distributed.world_size())
        states = [None] * distributed.world_size()
        dist.all_gather_object(states, measures.moments(rows[own], labels[own]).state())
        whole = measures.Moments(rows.shape[1])
        for state in states:
            whole.merge(state)
        return whole.mean, whole.scatter, whole.class_means

    whole = measures.moments(rows, labels)
    expected = (whole.mean, whole.scatter, whole.class_means)
    torch.testing.assert_close(launch(merged, **TWO), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.notebook
def test_launch_from_a_notebook_cell():
    """A real kernel, which has trained with all its threads before it forks; what comes back is used in the next cell."""
    cells = [
        """
        from sslwork import data, distributed, embed, encoders, launch, methods, train
        pictures = data.load("stickers", copies=2, size=16)

        def work(steps):
            method = methods.SimCLR(encoders.conv(4, 2), dim=8)
            train.fit(method, pictures, steps=steps, batch_size=32)
            return distributed.world_size(), method

        work(2)
        """,
        "processes, method = launch(work, 3, devices=2, accelerator='cpu')",
        "print(processes, tuple(embed(method.encoder, pictures).shape))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(c)) for c in cells])
    NotebookClient(notebook, timeout=120).execute()
    assert notebook.cells[-1].outputs[0].text == "2 (96, 8)\n"


def test_one_device_is_a_plain_call():
    assert launch(lambda a, b: a + b, 1, b=2, devices=1, accelerator="cpu") == 3


def test_torchrun(tmp_path, monkeypatch):
    """The same script, unchanged, with one process and with two."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, torch
            from sslwork import data, distributed, embed, encoders, methods, train

            pictures = data.load("digits")[:64]
            method = methods.SimCLR(encoders.conv(4, 2), dim=8)
            run = train.fit(method, pictures, steps=4, batch_size=32, progress=False)
            rows = embed(method, pictures[:33], batch_size=8)
            if distributed.rank() == 0:
                torch.save((distributed.world_size(), run.losses, rows), sys.argv[1])
            """
        )
    )
    monkeypatch.setattr(sys, "argv", ["script.py", str(tmp_path / "out.pt")])
    runpy.run_path(str(script), run_name="__main__")
    alone = torch.load(tmp_path / "out.pt")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*torchrun, str(script), str(tmp_path / "out.pt")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    together = torch.load(tmp_path / "out.pt")
    (one, curve, rows), (two, both_curve, both_rows) = alone, together
    assert (one, two) == (1, 2)
    assert both_curve == pytest.approx(curve, rel=1e-4)
    torch.testing.assert_close(both_rows, rows, rtol=1e-2, atol=1e-3)
