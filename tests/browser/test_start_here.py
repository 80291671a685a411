"""The start notebook as a student meets it: run from the menu, moved with the mouse, reopened without its kernel."""

import json
import shutil
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import build
import lab
import nbformat
import numpy as np
import pytest
from jupyter_client import BlockingKernelClient
from lab import content, drag_slider, python, readout, settled, show, slider, until
from matplotlib.path import Path as Polygon
from PIL import Image
from playwright.sync_api import Browser, Locator, Page


def restore(server: lab.Server) -> str:
    """Put the notebook back as it is tracked; build it without running where it is not there yet."""
    for path in lab.NOTEBOOKS.glob("00_start_here.*"):
        shutil.copy(path, server.folder / path.name)
    if not (lab.NOTEBOOKS / lab.START).exists():
        script = server.folder / "00_start_here.py"
        nbformat.write(build.read_script(script), build.paired(script))
    return lab.START


@dataclass
class Live:
    """The notebook after Run All Cells, with its kernel."""

    page: Page
    kernel: BlockingKernelClient

    def python(self, value: str, code: str = "") -> Any:
        return python(self.kernel, code, value)

    def dashboard(self, cell: str) -> Locator:
        """Scroll to the cell with this text, and return the dashboard it shows."""
        board = lab.scroll_to(self.page, cell).locator(".sslwork-live")
        show(self.page, board)
        return board


@pytest.fixture(scope="module")
def live(browser: Browser, server: lab.Server) -> Iterator[Live]:
    with lab.open_page(browser, server) as page:
        lab.open_notebook(page, server, restore(server))
        lab.run_all(page)
        yield Live(page, server.kernel(lab.START))
    server.close_sessions()


def test_run_all_cells(live):
    assert lab.errors(live.page) == []
    assert "Exercise 2: right." in str(lab.cells(live.page))
    assert live.page.strays == [], "the page asked somebody outside"
    assert live.page.complaints == []


def test_temperature_follows_the_mouse(live):
    """The picture, the number and Python's state all follow; the time from release to picture is kept."""
    board = live.dashboard("TemperatureLab(first")
    control, picture = slider(board, "temperature"), board.locator("img")
    seconds = []
    for share in (0.15, 0.85, 0.3, 0.7, 0.5):
        before = content(picture), readout(control), live.python("temperature_lab.temperature")
        lab.watch_pictures(live.page)
        drag_slider(live.page, control, share)
        seconds.append(lab.latency(live.page))
        after = content(picture), readout(control), live.python("temperature_lab.temperature")
        assert all(old != new for old, new in zip(before, after, strict=True))
        assert float(after[1]) == pytest.approx(after[2], abs=0.006)
    report_latency("slider release to settled picture", seconds)
    assert statistics.median(seconds) < 10  # loose: the cores may be shared


def report_latency(what: str, seconds: list[float]) -> None:
    """Print the median (seen with -rP), and keep all of them beside the screenshots."""
    lab.SCREENSHOTS.mkdir(exist_ok=True)
    rounded = [round(each, 3) for each in seconds]
    (lab.SCREENSHOTS / "latency.json").write_text(json.dumps({what: rounded}) + "\n")
    print(f"{what}: median {statistics.median(seconds):.2f} s of {rounded}")


@pytest.mark.parametrize(
    "cell, name, state",
    [
        ("ViewsLab(pictures", "rotate", "views_lab.sliders['rotate'].value"),
        ("SphereToy()", "toy temperature", "toy.temperature"),
        ("SphereToy()", "time", "toy.time"),
    ],
)
def test_sliders_redraw_their_dashboard(live, cell, name, state):
    board = live.dashboard(cell)
    control, picture = slider(board, name), board.locator("img")
    before = content(picture), readout(control), live.python(state)
    drag_slider(live.page, control, 0.35)
    until(lambda: content(picture) != before[0], what="another picture")
    settled(lambda: content(picture))
    assert readout(control) != before[1]
    assert float(readout(control)) == pytest.approx(live.python(state), abs=0.51)
    assert live.python(state) != before[2]


def test_arrow_keys_move_a_slider(live):
    control = slider(live.dashboard("TemperatureLab(first"), "temperature")
    before = live.python("temperature_lab.temperature")
    control.locator(".noUi-handle").focus()
    live.page.keyboard.press("ArrowRight")
    until(lambda: live.python("temperature_lab.temperature") != before, what="the key moved the slider")
    assert live.python("temperature_lab.slider.value") == pytest.approx(before * 10**0.02)


def lasso(page: Page, figure: Locator, radius: float = 60) -> np.ndarray:
    """Draw round the point with the most others near it; return the outline, (16, 2) in pixels of the page."""
    points = lab.points_on_screen(figure)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    centre = points[(distance < radius).sum(1).argmax()]
    # It ends away from its start: a path that closes on its first pixel counts as a click.
    angles = np.linspace(0, 1.9 * np.pi, 16)
    outline = centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    area = figure.locator(".nsewdrag").bounding_box()
    assert area
    low = np.array([area["x"], area["y"]]) + 2
    outline = outline.clip(low, low + np.array([area["width"], area["height"]]) - 4)
    page.mouse.move(*outline[0])
    page.mouse.down()
    for x, y in outline[1:]:
        page.mouse.move(x, y, steps=2)
    page.mouse.up()
    return outline


def test_lasso_colour_and_steps_on_the_map(live):
    page, board = live.page, live.dashboard("EmbeddingMap.of(")
    figure = board.locator(".js-plotly-plot")
    points = settled(lambda: lab.points_on_screen(figure).round(1).tolist())
    points = np.array(points)
    outline = lasso(page, figure)
    until(lambda: live.python("len(atlas.selected)"), what="the lasso reached Python")
    rows = set(settled(lambda: live.python("atlas.selected.tolist()")))
    inside, outside = (
        set(np.flatnonzero(Polygon(outline).contains_points(points, radius=r))) for r in (-3, 3)
    )
    if len(inside) > len(outside):  # the sign of the radius goes by the sense in which the outline turns
        inside, outside = outside, inside
    assert len(rows) > 2 and inside <= rows <= outside

    sheet = board.locator("img").last
    until(
        lambda: (box := sheet.bounding_box()) and box["height"] > 30,
        what="the sheet of the selected pictures",
    )
    assert f"{len(rows)} selected" in board.inner_text()

    def drawn() -> tuple[Any, ...]:
        return tuple(
            figure.evaluate("figure => [...figure._fullData[0].selectedpoints ?? []].sort((a, b) => a - b)")
        )

    marker = "figure => figure._fullData[0].marker.showscale"
    for name, scale in (("k-NN margin", True), ("kind", False)):
        board.locator("select").select_option(label=name)
        until(lambda scale=scale: bool(figure.evaluate(marker)) is scale, what=f"coloured by {name}")
        until(lambda name=name: live.python("atlas.colour") == name, what=f"Python knows of {name}")
        assert set(live.python("atlas.selected.tolist()")) == rows
        assert set(drawn()) == rows

    def on_figure() -> np.ndarray:
        """Where the points are, whatever the page is scrolled to."""
        box = figure.bounding_box()
        assert box
        return lab.points_on_screen(figure) - (box["x"], box["y"])

    control, before = slider(board, "step"), on_figure()
    drag_slider(page, control, 0.0)
    until(lambda: not np.allclose(on_figure(), before, atol=1), what="the points moved")
    settled(lambda: on_figure().round(1).tolist())
    assert live.python("atlas.step") == live.python("min(atlas.layouts)") == int(readout(control))
    assert set(live.python("atlas.selected.tolist()")) == rows
    drag_slider(page, control, 1.0)
    until(lambda: np.allclose(on_figure(), before, atol=1), what="the points moved back")


def test_resting_on_a_point_shows_its_picture(live):
    page, board = live.page, live.dashboard("EmbeddingMap.of(")
    figure = board.locator(".js-plotly-plot")
    points = np.array(settled(lambda: lab.points_on_screen(figure).round(1).tolist()))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    area = figure.locator(".nsewdrag").bounding_box()
    assert area
    left, top, width, height = (area[key] for key in ("x", "y", "width", "height"))
    margin = np.minimum(points - (left, top), (left + width, top + height) - points).min(1)
    row = int(np.where(margin > 15, distance.min(1), 0).argmax())  # the loneliest point
    page.mouse.move(*(points[row] - 12))
    page.mouse.move(*points[row])
    until(lambda: live.python("atlas.hovered") == row, what=f"row {row} is the one rested on")
    name = live.python("test.class_of[atlas.hovered]")
    until(lambda: name in board.inner_text(), what=f"the name {name!r}")
    shown = settled(lambda: content(board.locator("img").first))
    assert nearest_picture(shown, live) == row


def nearest_picture(file: bytes, live: Live) -> int:
    """The row of the test picture that looks most like this PNG."""
    side = live.python("test.images.shape[-1]")
    image = Image.open(BytesIO(file)).convert("RGBA")
    image = image.crop(image.getchannel("A").getbbox())  # without the margin of the figure
    image = image.convert("RGB").resize((side, side), Image.Resampling.BOX)
    shown = np.asarray(image).transpose(2, 0, 1).tolist()
    return live.python(f"int((test.images.float() - torch.tensor({shown})).abs().mean((1, 2, 3)).argmin())")


def test_a_map_is_there_at_once_and_becomes_umap_by_itself(page, server):
    """Nobody reloads or waits: the cell shows PCA, the kernel is free, and the points move when UMAP is there."""
    name = lab.add_notebook(
        server,
        "map.ipynb",
        "import time, torch\nfrom sslwork import data\nfrom sslwork.widgets import EmbeddingMap\n"
        "test = data.load('stickers', split='test', copies=100)\nfeatures = test.raw() @ "
        "torch.randn(test.raw().shape[1], 64, generator=torch.Generator().manual_seed(0))",
        "started = time.time()\natlas = EmbeddingMap.of(test, features)\natlas",
    )
    lab.open_notebook(page, server, name)
    lab.run_all(page)
    board = page.locator(".sslwork-live")
    figure = board.locator(".js-plotly-plot")
    there = "figure => figure._fullData?.[0]?.x?.length ?? 0"
    until(lambda: figure.count() and figure.evaluate(there), what="points", every=0.02)
    seen = time.time()
    first = "UMAP is being laid out" in board.inner_text()
    page.screenshot(path=lab.SCREENSHOTS / "map-pca.png")
    kernel = server.kernel(name)
    assert python(kernel, "", "len(test)") == len(lab.points_on_screen(figure))  # the kernel answers
    until(lambda: "UMAP is being laid out" not in board.inner_text(), what="UMAP", every=0.02)
    unfolded = time.time()
    page.screenshot(path=lab.SCREENSHOTS / "map-umap.png")
    assert first, "UMAP came before the first picture"
    last = python(kernel, "", "atlas.layouts[0][:90, 0].tolist()")
    shown = "figure => Array.from(figure._fullData[0].x.slice(0, 90))"
    until(
        lambda: np.allclose(figure.evaluate(shown), last, atol=1e-4), what="the browser shows Python's UMAP"
    )
    started = python(kernel, "", "started")
    print(f"cell to PCA {seen - started:.2f} s, to UMAP {unfolded - started:.2f} s")


def test_dark_theme_stays_readable(live):
    page = live.page
    theme = "theme => jupyterapp.commands.execute('apputils:change-theme', {theme})"
    board = live.dashboard("TemperatureLab(first")
    try:
        contrasts = {}
        for name, light in (("JupyterLab Dark", "false"), ("JupyterLab Light", "true")):
            page.evaluate(theme, name)
            page.wait_for_function(f"document.body.dataset.jpThemeLight === '{light}'")
            show(page, board)
            page.screenshot(path=lab.SCREENSHOTS / f"theme-{name.split()[1].lower()}.png")
            contrasts[name] = grey_contrast(board.locator("img"))
    finally:
        page.evaluate(theme, "JupyterLab Light")
    print(
        "contrast of axes and numbers with the page:",
        {name: round(value, 2) for name, value in contrasts.items()},
    )
    assert min(contrasts.values()) > 3  # WCAG 1.4.11, the least for parts of a graphic


def grey_contrast(picture: Locator) -> float:
    """The WCAG contrast between the grey ink of a figure and the page on which it lies."""
    on_page = Image.open(BytesIO(picture.screenshot())).convert("RGB")
    file = (
        Image.open(BytesIO(content(picture))).convert("RGBA").resize(on_page.size, Image.Resampling.NEAREST)
    )
    rgba, seen = np.asarray(file).astype(int), np.asarray(on_page) / 255
    ink = (rgba[..., 3] > 250) & (np.abs(rgba[..., :3] - 128).max(-1) < 6)
    paper = rgba[..., 3] == 0
    assert ink.sum() > 30 and paper.sum() > 1000, "no grey ink, or no transparent paper, in the figure"

    def luminance(pixels: np.ndarray) -> np.ndarray:
        linear = np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    ground = np.median(luminance(seen[paper]))
    ink_on_page = luminance(seen[ink])
    # Strokes are thin: most of their pixels are soft edges, the quarter farthest from the page is their colour.
    stroke = np.quantile(ink_on_page, 0.25 if ground > 0.5 else 0.75)
    low, high = sorted((float(stroke), float(ground)))
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(scope="module")
def saved(live: Live, server: lab.Server) -> str:
    """The notebook as JupyterLab saves it after the run; its kernel is gone."""
    lab.menu(live.page, "File", "Save Notebook")
    pictures = sum("image/png" in str(cell["outputs"]) for cell in lab.cells(live.page))
    assert pictures >= 8

    def stored() -> bool:
        cells = nbformat.read(server.folder / lab.START, as_version=4).cells
        return sum("image/png" in str(cell.get("outputs")) for cell in cells) == pictures

    until(stored, what="the notebook is saved with its pictures")
    live.page.goto("about:blank")
    server.close_sessions()
    return lab.START


# These two come last in this file: they end the shared notebook.


def test_reopened_notebook_keeps_its_pictures(saved, page, server):
    """A new page, a new kernel which knows no widget: the stills stand in."""
    lab.open_notebook(page, server, saved)
    assert lab.blank_dashboards(page, wanted=8) == []


def test_shipped_notebook_has_pictures(saved, page, server):
    name = restore(server)
    if not any(cell.get("outputs") for cell in nbformat.read(server.folder / name, as_version=4).cells):
        pytest.fail("the tracked notebook holds no outputs: run `make notebooks`")
    lab.open_notebook(page, server, name)
    assert lab.blank_dashboards(page, wanted=8) == []
