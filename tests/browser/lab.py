"""A real JupyterLab in a real browser: start it, run notebooks in it, move things with the mouse, ask its kernel."""

import ast
import base64
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import build
import nbformat
import numpy as np
import psutil
from jupyter_client import BlockingKernelClient
from playwright.sync_api import Browser, Locator, Page, Playwright

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
SCREENSHOTS = ROOT / "tests" / "screenshots"
START = "00_start_here.ipynb"
PATIENCE = 60.0  # seconds; generous, since the cores may be shared
SIZE = {"width": 1280, "height": 800}

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_USUAL = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)


def find_browser(playwright: Playwright) -> str:
    """Path of a Chromium or Chrome; `CHROMIUM` names it, else the usual places are searched."""
    if named := os.environ.get("CHROMIUM"):
        if not (found := shutil.which(named)):
            raise RuntimeError(f"CHROMIUM={named} is not a program that can be started")
        return found
    for name in (*_NAMES, *_USUAL, playwright.chromium.executable_path):
        if found := shutil.which(name):
            return found
    raise RuntimeError(
        "The browser tests need Chromium or Chrome, and none was found. Debian, Ubuntu: apt install chromium. "
        "Elsewhere: python -m playwright install chromium. Or name one: CHROMIUM=/path/to/chrome"
    )


def launch(playwright: Playwright) -> Browser:
    """Start a browser that draws WebGL without a GPU and finds no host but this machine."""
    flags = [
        "--disable-dev-shm-usage",
        "--use-gl=angle",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
    ]
    flags.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    if _is_root():
        flags.append("--no-sandbox")
    return playwright.chromium.launch(executable_path=find_browser(playwright), args=flags)


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


class Server:
    """A JupyterLab that serves a copy of `notebooks/` below `home` and keeps all its settings there."""

    def __init__(self, home: Path, scale: str = "smoke") -> None:
        self.home, self.folder, self.token = home, home / "notebooks", secrets.token_hex(16)
        self._clients: dict[str, BlockingKernelClient] = {}
        ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "claims")
        shutil.copytree(NOTEBOOKS, self.folder, ignore=ignore)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        # The question about Jupyter news covers a corner of the page and swallows clicks there.
        page_config = home / "config" / "labconfig" / "page_config.json"
        page_config.parent.mkdir(parents=True)
        page_config.write_text(
            json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}})
        )
        own = {
            "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython",
        }  # fmt: skip
        inherited = {name: value for name, value in os.environ.items() if name != "SSLWORK_CLAIMS"}
        if scale == "smoke":
            inherited.setdefault(
                "OMP_NUM_THREADS", "1"
            )  # on busy cores, threads of tiny models only wait for another
        environment = inherited | {name: str(home / folder) for name, folder in own.items()}
        options = [
            f"--ServerApp.port={self.url.rpartition(':')[2]}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.root_dir={self.folder}", f"--IdentityProvider.token={self.token}", "--no-browser",
            # The page then offers its commands and models to a test: window.jupyterapp.
            "--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly",
        ]  # fmt: skip
        if _is_root():
            options.append("--allow-root")
        self._log = (home / "server.log").open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=self.folder,
            # Experiments are run here, not remembered.
            env=environment | {"SSLWORK_SCALE": scale, "SSLWORK_STUDIES": str(home / "studies")},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def wait(self) -> None:
        """Return when the server answers."""

        def ready() -> bool:
            if self._process.poll() is not None:
                raise RuntimeError(f"JupyterLab did not start:\n{(self.home / 'server.log').read_text()}")
            with contextlib.suppress(OSError):
                self.ask("/api/status")
                return True
            return False

        until(ready, what="JupyterLab answers")

    def ask(self, path: str, method: str = "GET") -> Any:
        """The server's answer to a REST call, parsed."""
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def address(self, name: str) -> str:
        """Where to open a notebook; `reset` keeps the tabs of an earlier page closed."""
        return f"{self.url}/lab/tree/{name}?token={self.token}&reset"

    def kernel(self, name: str) -> BlockingKernelClient:
        """A second line to the kernel in which the page runs notebook `name`."""
        ids = [each["kernel"]["id"] for each in self.ask("/api/sessions") if each["path"] == name]
        if len(ids) != 1:
            raise RuntimeError(f"{name} has {len(ids)} kernels, one wanted")
        if ids[0] not in self._clients:
            client = BlockingKernelClient(
                connection_file=str(self.home / "runtime" / f"kernel-{ids[0]}.json")
            )
            client.load_connection_file()
            client.start_channels()
            client.wait_for_ready(timeout=PATIENCE)
            self._clients[ids[0]] = client
        return self._clients[ids[0]]

    def sessions(self) -> dict[str, str]:
        """Kernel ids by session id."""
        return {each["id"]: each["kernel"]["id"] for each in self.ask("/api/sessions")}

    def close_sessions(self, keep: Collection[str] = ()) -> None:
        """End the kernels of all sessions but `keep`: they outlive their page and would slow down what follows."""
        for session, kernel in self.sessions().items():
            if session not in keep:
                if client := self._clients.pop(kernel, None):
                    client.stop_channels()
                self.ask(f"/api/sessions/{session}", "DELETE")

    def stop(self) -> None:
        """End the server and all that it started."""
        with contextlib.suppress(OSError):
            self.close_sessions()
        # Kernels have process groups of their own, so the family is looked up rather than one group ended.
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(self._process.pid).children(recursive=True)
            self._process.terminate()
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()


def add_notebook(server: Server, name: str, *cells: str) -> str:
    """Write a notebook of code cells where the server finds it; return its name."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": build.KERNEL})
    notebook.cells = [nbformat.v4.new_code_cell(cell, id=f"cell-{n}") for n, cell in enumerate(cells)]
    nbformat.write(notebook, server.folder / name)
    return name


@contextlib.contextmanager
def open_page(browser: Browser, server: Server) -> Iterator[Page]:
    """A page of its own in a small laptop's window; `strays` and `complaints` collect what should not be."""
    context = browser.new_context(viewport=SIZE)
    page = context.new_page()
    strays: list[str] = []
    complaints: list[str] = []
    here = (server.url, server.url.replace("http", "ws"), "data:", "blob:", "about:")

    def note(url: str) -> None:
        if not url.startswith(here):
            strays.append(url)

    context.on("request", lambda request: note(request.url))
    page.on("websocket", lambda socket: note(socket.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(PATIENCE * 1000)
    page.strays, page.complaints = strays, complaints  # type: ignore[attr-defined]
    try:
        yield page
    finally:
        context.close()


def until(ready: Callable[[], Any], *, what: str, seconds: float = PATIENCE, every: float = 0.1) -> Any:
    """Ask again and again until the answer is true, and return it; say what was waited for if it never is."""
    end = time.monotonic() + seconds
    while True:
        answer = ready()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:.0f} s: {what} (last answer: {answer!r})")
        time.sleep(every)


def settled(read: Callable[[], Any], *, quiet: float = 0.6, seconds: float = PATIENCE) -> Any:
    """The answer of `read` once it has been the same for `quiet` seconds."""
    end = time.monotonic() + seconds
    last, since = read(), time.monotonic()
    while time.monotonic() - since < quiet:
        if time.monotonic() > end:
            raise TimeoutError(f"still changing after {seconds:.0f} s")
        time.sleep(0.05)
        now = read()
        if now != last:
            last, since = now, time.monotonic()
    return last


def open_notebook(page: Page, server: Server, name: str) -> None:
    """Open a notebook with the side bar folded away, and wait until its cells are there."""
    page.goto(server.address(name))
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    # Until the file is read, the notebook is one empty cell.
    page.wait_for_function("jupyterapp.shell.currentWidget?.context?.isReady")
    page.evaluate("jupyterapp.shell.collapseLeft()")


def menu(page: Page, *labels: str) -> None:
    """Click through a menu: `menu(page, "Run", "Run All Cells")`."""
    page.click(f".lm-MenuBar-itemLabel:text-is('{labels[0]}')")
    for label in labels[1:]:
        page.click(f".lm-Menu-itemLabel:text-is('{label}')")


def cells(page: Page) -> list[dict[str, Any]]:
    """Source, kind, execution count and outputs of each cell, on screen or not."""
    return page.evaluate(
        """() => [...jupyterapp.shell.currentWidget.content.model.cells].map(cell => ({
            kind: cell.type, source: cell.sharedModel.getSource(), count: cell.executionCount ?? null,
            state: cell.executionState ?? null, outputs: cell.type === "code" ? cell.outputs.toJSON() : []}))"""
    )


def is_idle(page: Page) -> bool:
    """Whether the kernel has nothing to do."""
    return page.evaluate("jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status") == "idle"


def run_all(page: Page, *, seconds: float = 180) -> None:
    """Run All Cells from the menu, and wait to the end."""
    # A click before the kernel is connected can get lost.
    until(lambda: is_idle(page), what="the kernel is connected and idle")
    menu(page, "Run", "Run All Cells")

    def over() -> bool:
        code = [cell for cell in cells(page) if cell["kind"] == "code" and cell["source"].strip()]
        failed = any(output["output_type"] == "error" for cell in code for output in cell["outputs"])
        return is_idle(page) and (failed or all(cell["count"] for cell in code))

    until(over, what="every cell has run", seconds=seconds, every=0.3)


def errors(page: Page) -> list[str]:
    """What went wrong in any cell."""
    found = []
    for number, cell in enumerate(cells(page), 1):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                found.append(f"cell {number}: {output['ename']}: {output['evalue']}")
    return found


def scroll_to(page: Page, source: str) -> Locator:
    """Bring the cell that contains `source` on screen, outputs and all; return it."""
    index = page.evaluate(
        """source => [...jupyterapp.shell.currentWidget.content.model.cells].findIndex(
            cell => cell.type === "code" && cell.sharedModel.getSource().includes(source))""",
        source,
    )
    if index < 0:
        raise ValueError(f"no code cell contains {source!r}")
    # JupyterLab keeps only the cells near the screen in the page.
    page.evaluate("index => jupyterapp.shell.currentWidget.content.scrollToItem(index, 'start')", index)
    cell = page.locator(f".jp-Cell[data-windowed-list-index='{index}']")
    cell.wait_for(state="attached")
    return cell


def show(page: Page, part: Locator) -> None:
    """Scroll until `part` is in the middle of the page and stays there."""
    part.first.wait_for(state="attached")

    def box() -> Any:
        part.first.evaluate("element => element.scrollIntoView({block: 'center'})")
        return part.first.bounding_box()

    settled(box, quiet=0.3)


def python(kernel: BlockingKernelClient, code: str, value: str = "None") -> Any:
    """Execute code in the notebook's own kernel, beside its cells; return the value of a plain expression."""
    reply = kernel.execute(
        code,
        silent=True,
        user_expressions={"value": value},
        reply=True,
        timeout=PATIENCE,
        stop_on_error=False,
    )["content"]
    if reply["status"] == "error":
        raise RuntimeError(f"{reply['ename']}: {reply['evalue']}")
    answer = reply["user_expressions"]["value"]
    if answer["status"] == "error":
        raise RuntimeError(f"{value}: {answer['ename']}: {answer['evalue']}")
    return ast.literal_eval(answer["data"]["text/plain"])


def slider(within: Page | Locator, name: str) -> Locator:
    """The slider with this description."""
    return within.locator(f".widget-slider:has(> .widget-label:text-is('{name}'))")


def readout(control: Locator) -> str:
    """The number beside a slider."""
    return control.locator(".widget-readout").inner_text().strip()


def drag_slider(page: Page, control: Locator, share: float) -> None:
    """Drag a slider's handle with the mouse to this share of its track."""
    show(page, control)
    handle = control.locator(".noUi-handle").bounding_box()
    track = control.locator(".noUi-base").bounding_box()
    assert handle and track
    y = handle["y"] + handle["height"] / 2
    page.mouse.move(handle["x"] + handle["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(track["x"] + share * track["width"], y, steps=8)
    page.mouse.up()


def watch_pictures(page: Page) -> None:
    """From now on note when the mouse is released and when a picture has arrived, by the page's own clock."""
    page.evaluate(
        """() => {
            if (window.released === undefined) {
                addEventListener("pointerup", () => { window.released = performance.now(); }, true);
                // A picture's load event reaches the document, not the window.
                document.addEventListener("load", event => {
                    if (event.target.tagName === "IMG") window.arrived = performance.now();
                }, true);
            }
            window.released = window.arrived = 0;
        }"""
    )


def latency(page: Page) -> float:
    """Seconds from the last release of the mouse to the last picture after it, once no more come."""
    times = "[window.released, window.arrived]"
    until(lambda: page.evaluate("window.arrived > window.released"), what="a new picture after the release")
    released, arrived = settled(lambda: page.evaluate(times), quiet=1.0)
    return (arrived - released) / 1000


def content(picture: Locator) -> bytes:
    """The file an <img> shows: its address alone may be new for the same picture, or old for a new one."""
    address = picture.evaluate(
        """image => fetch(image.src).then(answer => answer.blob()).then(blob => new Promise(done => {
            const reader = new FileReader();
            reader.onload = () => done(reader.result);
            reader.readAsDataURL(blob);
        }))"""
    )
    return base64.b64decode(address.partition(",")[2])


def points_on_screen(figure: Locator) -> np.ndarray:
    """Where on the page the points of a plotly figure are, (N, 2) in pixels."""
    return np.array(
        figure.evaluate(
            """figure => {
                const box = figure.getBoundingClientRect(), layout = figure._fullLayout, trace = figure._fullData[0];
                const left = box.left + layout._size.l, top = box.top + layout._size.t;
                return Array.from(trace.x, (x, i) =>
                    [left + layout.xaxis.l2p(x), top + layout.yaxis.l2p(trace.y[i])]);
            }"""
        )
    )


_LOOK = """area => {
    const shown = [...area.querySelectorAll("img")].filter(image => image.checkVisibility() && image.naturalWidth > 1
        && image.getBoundingClientRect().height > 20);
    const boxes = [...area.querySelectorAll(".jp-OutputArea-output")].filter(output => output.checkVisibility());
    const blank = boxes.filter(output => output.getBoundingClientRect().height > 30 && !output.innerText.trim()
        && !output.querySelector("img, svg, canvas"));
    return {pictures: shown.length, blank: blank.length, text: area.innerText};
}"""


def blank_dashboards(page: Page, wanted: int) -> list[str]:
    """Walk down the notebook; say which cells with a stored picture show none, or show a broken widget instead.

    `wanted` is how many cells with a picture there must be at least.
    """
    faults, seen = [], 0
    for number, cell in enumerate(cells(page)):
        if not any("image/png" in output.get("data", {}) for output in cell["outputs"]):
            continue
        seen += 1
        page.evaluate("index => jupyterapp.shell.currentWidget.content.scrollToItem(index, 'start')", number)
        box = page.locator(f".jp-Cell[data-windowed-list-index='{number}'] .jp-Cell-outputArea")
        box.wait_for(state="attached")
        with contextlib.suppress(TimeoutError):
            until(lambda box=box: box.evaluate(_LOOK)["pictures"], what="a picture", seconds=15)
        found = box.evaluate(_LOOK)
        where = f"cell {number + 1} ({cell['source'].strip().splitlines()[-1][:40]})"
        if not found["pictures"]:
            faults.append(f"{where}: no picture, but {found['text'][:80]!r}")
        if found["blank"]:
            faults.append(f"{where}: {found['blank']} blank boxes")
        if "Error displaying widget" in found["text"] or "Error creating widget" in found["text"]:
            faults.append(f"{where}: {found['text'][:80]!r}")
    if seen < wanted:
        faults.append(f"{seen} cells hold a picture, at least {wanted} wanted")
    return faults
