"""A real browser before a real `meterline demo`.

Every page is watched: whatever it asks from another machine is stopped and noted, and so is every
error in its console. Either fails the test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from analytics import store
from tests.support.processes import free_port, wait_for, write_config
from tests.support.services import launch

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--no-first-run"),
)
SAMPLE_ROWS = 20_000
LONGEST_WAIT_MS = 30_000
expect.set_options(timeout=LONGEST_WAIT_MS)
IDLE = "() => !!document.querySelector('[data-test-script-state=\"notRunning\"]')"


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo: where its dashboard is, and the folder with its store."""

    url: str
    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / store.NAME


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`meterline demo`, with its sample in the store."""
    base = tmp_path_factory.mktemp("demo")
    port = free_port()
    tables = {
        "": {"data_dir": str(base / "data")},
        "server": {"port": free_port()},
        "dashboard": {"port": port},
    }
    service = launch(
        base / "demo.log", "meterline", "demo", "--config", str(write_config(base, tables))
    )
    made = Demo(f"http://127.0.0.1:{port}", base / "meterline-demo")
    try:
        wait_for(lambda: "The dashboard is at" in service.said(), "the dashboard", seconds=90)
        wait_for(lambda: rows(made.store) > SAMPLE_ROWS, "the sample", seconds=180)
        yield made
    finally:
        assert service.stop() == 0


def rows(path: Path) -> int:
    try:
        with store.read(path) as con:
            found = con.execute("SELECT count(*) FROM exchanges").fetchone()
    except store.StoreError:
        return 0
    return int(found[0]) if found else 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is missing: apt install chromium, or name another: CHROMIUM=...")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield made
        made.close()


@dataclass(slots=True)
class Watched:
    """A page, and what it should not have done."""

    page: Page
    url: str
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def visit(self, path: str, text: str) -> Page:
        """Open a page and wait until this text is there and the page is done."""
        self.page.goto(self.url + path)
        return self.shows(text)

    def shows(self, text: str) -> Page:
        self.page.get_by_text(text).first.wait_for()
        self.settle()
        return self.page

    def settle(self) -> None:
        self.page.wait_for_function(IDLE)

    def hold_back(self, route: Route) -> None:
        if route.request.url.startswith((self.url, "data:", "blob:")):
            route.continue_()
        else:
            self.elsewhere.append(route.request.url)
            route.abort()


def watched(browser: Browser, url: str, **context: object) -> Watched:
    page = browser.new_context(**context).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(LONGEST_WAIT_MS)
    made = Watched(page, url)
    page.route("**/*", lambda route: made.hold_back(route))  # it marks what it is given
    page.on("pageerror", lambda error: made.errors.append(str(error)))
    page.on("console", lambda said: said.type == "error" and made.errors.append(said.text))
    return made


@pytest.fixture
def view(browser: Browser, demo: Demo) -> Iterator[Watched]:
    made = watched(browser, demo.url, viewport={"width": 1440, "height": 1600})
    yield made
    made.page.context.close()
    assert made.elsewhere == []
    assert made.errors == []
