"""Pictures of every page, light and dark, wide and narrow: for looking at.

    python -m tests.browser.screenshots [FOLDER] [--out screenshots]

FOLDER is a data folder with a meterline.toml; without one, a sample is made. Owns taking the
pictures; judging them is for people.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from analytics import store
from sample_data.generator import Window, fill, write_settings
from tests.browser.conftest import CHROMIUM, FLAGS, IDLE
from tests.support.processes import free_port, wait_for
from tests.support.services import launch

WIDTHS = (1440, 390)
SCHEMES = ("light", "dark")
TALLEST = 3000
MOST_LOOKS, LOOK_AGAIN_MS = 12, 700
PAGES = {
    "overview": "/",
    "spend": "/spend",
    "savings": "/savings",
    "prompts": "/savings?savings=Prompt+versions&last=30d",
    "models": "/models",
    "people": "/people",
    "sessions": "/sessions",
    "session": "/sessions?session={session}&last=all",
    "requests": "/requests",
    "exchange": "/exchange?id={exchange}",
    "reliability": "/reliability",
    "health": "/health",
    "sql": "/sql",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--only", nargs="*", default=list(PAGES), choices=list(PAGES))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    folder = args.folder or sample(args.out / "sample")
    with served(folder, args.out / "dashboard.log") as url:
        take(url, args.out, args.only, chosen(folder))
    return 0


@contextmanager
def served(folder: Path, log: Path) -> Iterator[str]:
    """The dashboard of a data folder; its address."""
    port, config = free_port(), str(folder / "meterline.toml")
    service = launch(log, "meterline", "dashboard", "--config", config, "--port", str(port))
    try:
        wait_for(lambda: _answers(port), "the dashboard", seconds=60)
        yield f"http://127.0.0.1:{port}"
    finally:
        service.stop()


def sample(folder: Path) -> Path:
    """Thirty days up to now, made anew unless they are there."""
    if not (folder / store.NAME).exists():
        folder.mkdir(parents=True, exist_ok=True)
        end = datetime.now(UTC)
        write_settings(folder, Window(end=end))
        fill(folder, end=end)
    return folder


def _answers(port: int) -> bool:
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
            return True
    except OSError:
        return False


def chosen(folder: Path) -> dict[str, str]:
    """A session with tool calls and a request of it, for the pages that show one."""
    with store.read(folder / store.NAME) as con:
        found = con.execute(
            "SELECT session_id, arg_max(exchange_id, started_at)::VARCHAR FROM exchanges "
            "WHERE session_id IS NOT NULL AND tool_call_count > 0 GROUP BY session_id "
            "HAVING count(*) BETWEEN 8 AND 20 ORDER BY max(started_at) DESC LIMIT 1"
        ).fetchone()
    return dict(zip(("session", "exchange"), found or ("", ""), strict=True))


def take(url: str, out: Path, names: list[str], given: dict[str, str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for scheme in SCHEMES:
            for width in WIDTHS:
                page = browser.new_page(
                    viewport={"width": width, "height": 900},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                for name in names:
                    taken = picture(page, url + PAGES[name].format(**given), width)
                    (out / f"{name}-{scheme}-{width}.png").write_bytes(taken)
                page.close()
        browser.close()


def picture(page: Page, address: str, width: int, tallest: int = TALLEST) -> bytes:
    """A page as high as all of it, up to `tallest`, once it stands still."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address)
    page.locator("[data-testid=stMain] h3").first.wait_for()
    page.wait_for_function(IDLE, timeout=60_000)
    before = b""
    for _ in range(MOST_LOOKS):
        page.wait_for_timeout(LOOK_AGAIN_MS)  # charts are drawn after the page is done
        height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": width, "height": max(900, min(int(height), tallest))})
        taken = page.screenshot()
        if taken == before:
            break
        before = taken
    return before


if __name__ == "__main__":
    sys.exit(main())
