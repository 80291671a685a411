"""A training that is stopped from the menu goes on in the next cell."""

import re

import lab
from lab import until

TRAIN = """\
from sslwork import data, encoders, methods, train
from sslwork.panel import Panel
from sslwork.widgets import LiveTraining
pictures = data.load("stickers", copies=4)
test = data.load("stickers", split="test", copies=2)
method = methods.SimCLR(encoders.conv(8, 3))
run = train.fit(method, pictures, steps=400, batch_size=64, panel=Panel(pictures, test), show=LiveTraining("long"))"""


def test_interrupt_then_resume(page, server):
    name = lab.add_notebook(server, "stopped.ipynb", TRAIN)
    lab.open_notebook(page, server, name)
    until(lambda: lab.is_idle(page), what="the kernel is connected and idle")
    page.locator(".jp-Cell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")  # runs it, and opens a new cell below
    status = page.locator(".sslwork-live")
    status.wait_for()
    until(lambda: re.search(r"step (?!0 )\d+ of 400", status.inner_text()), what="the training moves")
    lab.menu(page, "Kernel", "Interrupt Kernel")
    until(lambda: lab.is_idle(page), what="the kernel stopped")
    kernel = server.kernel(name)
    stopped = lab.python(kernel, "", "run.step")
    assert 0 < stopped < 400
    assert f"Stopped by you at step {stopped} of 400" in str(lab.cells(page)[0]["outputs"])
    assert lab.errors(page) == []

    page.locator(".jp-Cell .cm-content").last.click()
    page.keyboard.type("run.resume()")
    page.keyboard.press("Shift+Enter")
    until(lambda: lab.cells(page)[1]["count"] and lab.is_idle(page), what="the rest of the run")
    assert lab.errors(page) == []
    assert lab.python(kernel, "", "(run.step, len(run.losses), run.done)") == (400, 400, True)
