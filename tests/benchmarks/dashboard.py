"""How long the dashboard takes over many exchanges, seen by a browser.

    python -m tests.benchmarks.dashboard --rows 10_000_000 [--folder DIR]

Owns the clock. For each page, after opening it in a fresh tab: until the browser's first contentful
paint (which shows the frame of the page, without figures), until the first figure or chart is on
screen, and until all is drawn; and until all shows another window after a click. DIR is filled with
a sample of so many rows unless it has a store.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, TimeoutError, sync_playwright

from analytics import store
from sample_data.generator import Window, fill_rows, write_settings
from tests.support.processes import free_port, wait_for
from tests.support.services import launch

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PAGES = (
    *("", "spend", "models", "people", "sessions", "requests", "reliability", "health", "sql"),
    "savings",
)
UNFILTERED = ("health", "sql")
MAIN = "[data-testid=stMain]"
FIGURE = f"{MAIN} :is([data-testid=stMetric], canvas, [data-testid=stDataFrame], textarea)"
RUNNING = "() => document.querySelector('[data-test-script-state=\"running\"]') !== null"
IDLE = "() => document.querySelector('[data-test-script-state=\"notRunning\"]') !== null"
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
WINDOWS = ("7d", "24h", "30d")
TIMES = len(WINDOWS)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        if not (folder / store.NAME).exists():
            filled(folder, args.rows)
        with served(folder) as url, opened() as context:
            context.new_page().goto(url)  # the browser's own cache
            heads = f"{'page':12} {'paint':>7} {'figure':>7} {'all':>7} {'change':>7}"
            print(f"{heads}   seconds, median of {TIMES}")
            for page in PAGES:
                print(f"{page or 'overview':12} {row(context, url, page)}", flush=True)
    return 0


def filled(folder: Path, rows: int) -> None:
    window = Window(end=datetime.now(UTC))
    folder.mkdir(parents=True, exist_ok=True)
    write_settings(folder, window)
    print(f"{fill_rows(folder, window, rows):,} exchanges in {folder}", file=sys.stderr)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The dashboard alone; nothing is cached that it would not have cached by itself."""
    port = free_port()
    config = str(folder / "meterline.toml")
    service = launch(
        folder / "dashboard.log", "meterline", "dashboard", "--config", config, "--port", str(port)
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(url), "the dashboard", seconds=60)
        yield url
    finally:
        service.stop()


def answers(url: str) -> bool:
    import urllib.request

    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def opened() -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_context(viewport={"width": 1440, "height": 1000})
        browser.close()


def row(context: BrowserContext, url: str, name: str) -> str:
    """Each time in a fresh tab, and for another selection, so that no answer is there yet."""
    paints, firsts, alls, changes = [], [], [], []
    for number in range(TIMES):
        page = context.new_page()
        page.set_default_timeout(60_000)
        begun = time.perf_counter()
        page.goto(f"{url}/{name}?{week(number)}")
        page.locator(FIGURE).first.wait_for()
        firsts.append(time.perf_counter() - begun)
        page.wait_for_function(IDLE)
        alls.append(time.perf_counter() - begun)
        paints.append(page.evaluate(PAINTED) / 1000)
        if name not in UNFILTERED:
            changes.append(changed(page, WINDOWS[number]))
        page.close()
    return " ".join(
        f"{statistics.median(each):7.2f}" if each else f"{'-':>7}"
        for each in (paints, firsts, alls, changes)
    )


def week(number: int) -> str:
    """Seven days, others each time."""
    last = datetime.now(UTC).date() - timedelta(days=2 + number)
    return f"last=custom&days={last - timedelta(days=6)}&days={last}"


def changed(page: Page, to: str) -> float:
    """Until the whole page shows the other window."""
    begun = time.perf_counter()
    page.get_by_role("radio", name=to, exact=True).click()
    with suppress(TimeoutError):  # it was quicker than the look
        page.wait_for_function(RUNNING, timeout=1_000)
    page.wait_for_function(IDLE)
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
