"""One JupyterLab and one browser for all browser tests, and a fresh page for each that asks for one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep a photograph of the page of a test that failed."""
    report = yield
    if report.failed:
        for page in (value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Page)):
            lab.SCREENSHOTS.mkdir(exist_ok=True)
            try:
                page.screenshot(path=lab.SCREENSHOTS / f"failed-{item.name}.png")
            except Exception as error:  # the page may have crashed: the test's own failure is the news
                print(f"no screenshot: {error}", file=sys.stderr)
    return report


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for the whole session: Playwright's event loop would run on below the tests of other folders."""
    with sync_playwright() as playwright:
        browser = lab.launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Server]:
    server = lab.Server(tmp_path_factory.mktemp("lab"))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture
def page(browser: Browser, server: lab.Server) -> Iterator[Page]:
    """A fresh page; it may ask nobody but the server, and the kernels it leaves behind are ended."""
    before = server.sessions()
    with lab.open_page(browser, server) as page:
        yield page
        assert page.strays == []
    server.close_sessions(keep=before)
