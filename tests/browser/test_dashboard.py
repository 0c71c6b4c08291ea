"""What a person does with the dashboard, done by a browser."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect

from analytics import store
from analytics.queries import Selection
from analytics.queries.spend import spend
from analytics.windows import Window
from dashboard import figures
from tests.browser.conftest import Demo, Watched, watched
from tests.support.processes import wait_for

PAGES = {
    "/": "Top features",
    "/spend": "Why it changed",
    "/savings": "Could be saved",
    "/models": "Side by side",
    "/people": "Every feature",
    "/sessions": "All",
    "/requests": "Search what was said",
    "/reliability": "Kinds of errors",
    "/health": "Last posted",
    "/sql": "What there is",
}
DAYS = 3


def days_ago(days: int) -> datetime:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days)


def closed_days() -> tuple[str, Window]:
    """Days that live traffic does not change: for the address, and as a window."""
    first, end = days_ago(DAYS + 1), days_ago(1)
    last = end - timedelta(days=1)
    return f"last=custom&days={first:%Y-%m-%d}&days={last:%Y-%m-%d}", Window(since=first, until=end)


@pytest.mark.parametrize(("path", "text"), PAGES.items())
def test_page_opens(view: Watched, path: str, text: str) -> None:
    page = view.visit(path, text)
    assert page.get_by_test_id("stException").count() == 0


def test_overview_shows_the_right_figures(view: Watched, demo: Demo) -> None:
    address, window = closed_days()
    page = view.visit(f"/?{address}&feature=chat", "Top features")
    with store.read(demo.store) as con:
        chosen = Selection(window=window, values={"feature": ["chat"]})
        total = spend(con, "model", chosen).filter(part="total").row(0, named=True)
    metrics = page.get_by_test_id("stMetric")
    expect(metrics.filter(has_text="Spend").first).to_contain_text(figures.usd(total["cost_usd"]))
    expect(metrics.filter(has_text="Requests").first).to_contain_text(
        figures.count(total["exchanges"])
    )


def test_filter_chosen_in_the_bar_is_in_the_address(view: Watched) -> None:
    page = view.visit("/", "Top features")
    page.get_by_role("radio", name="30d").click()
    page.wait_for_url("**/?last=30d")
    page.get_by_role("button", name="Filters").click()
    box = page.locator(".st-key-feature input")
    box.click()
    box.fill("chat")
    page.get_by_role("option", name="chat", exact=True).click()
    page.wait_for_url("**feature=chat**")


def test_from_the_overview_to_the_very_prompt(view: Watched) -> None:
    """A bar chooses the most expensive feature, a row its most expensive request."""
    page = view.visit("/?last=30d", "Top features")
    bars = page.locator(".st-key-top-feature canvas").first
    bars.scroll_into_view_if_needed()
    view.settle()
    size = bars.bounding_box()
    assert size is not None
    bars.click(position={"x": size["width"] * 0.45, "y": 21})
    page.wait_for_url("**feature=**")
    view.settle()
    rows = page.locator(".st-key-top-requests .dvn-scroller").first
    rows.scroll_into_view_if_needed()
    rows.click(position={"x": 260, "y": 52})
    page.wait_for_url("**/exchange?id=**")
    view.shows("What it cost")
    expect(page.get_by_test_id("stChatMessage").first).to_be_visible()
    page.get_by_role("button", name="Requests").click()
    page.wait_for_url("**/requests?last=30d&feature=**")


def test_filters_outlive_a_page_without_them(view: Watched) -> None:
    page = view.visit("/spend?feature=chat&last=30d", "Why it changed")
    page.get_by_role("link", name="Health").click()
    view.shows("Last posted")
    page.get_by_role("link", name="Models").click()
    view.shows("Side by side")
    assert "feature=chat" in page.url
    assert "last=30d" in page.url


def test_shared_link_shows_the_same_view(view: Watched, browser: Browser, demo: Demo) -> None:
    address, _ = closed_days()
    page = view.visit(f"/people?{address}&model=gpt-4o-mini-2024-07-18", "Every feature")
    other = watched(browser, demo.url, viewport={"width": 1440, "height": 1600})
    try:
        same = other.visit(page.url.removeprefix(demo.url), "Every feature")
        first = page.get_by_test_id("stMetric").all_inner_texts()
        assert len(first) == 4
        wait_for(
            lambda: same.get_by_test_id("stMetric").all_inner_texts() == first,
            "the same figures",
            seconds=30,
        )
    finally:
        other.page.context.close()


def test_back_takes_a_filter_back(view: Watched) -> None:
    page = view.visit("/requests?feature=chat", "Search what was said")
    page.get_by_role("button", name="feature: chat").first.click()
    page.wait_for_url(lambda url: "feature" not in url)
    page.go_back()
    page.wait_for_url("**feature=chat**")
    expect(page.get_by_role("button", name="feature: chat").first).to_be_visible()


def test_sql_runs_and_is_downloadable(view: Watched) -> None:
    page = view.visit("/sql", "What there is")
    box = page.get_by_role("textbox", name="SQL")
    box.fill("SELECT 'found ' || count(*) AS answer FROM exchanges WHERE started_at < '2000-01-01'")
    page.get_by_role("button", name="Run").click()
    view.shows("1 rows")
    with page.expect_download() as found:
        page.get_by_test_id("stDownloadButton").get_by_role("button").click()
    assert found.value.path().read_text().splitlines() == ["answer", "found 0"]


def test_sql_refuses_files(view: Watched) -> None:
    page = view.visit("/sql", "What there is")
    page.get_by_role("textbox", name="SQL").fill("SELECT * FROM read_text('/etc/hostname')")
    page.get_by_role("button", name="Run").click()
    view.shows("It did not run")


def test_new_call_appears_by_itself(view: Watched) -> None:
    """Live: without a click, the page shows what has been posted since."""
    page = view.visit("/?last=24h", "Top features")
    figure = page.get_by_test_id("stMetric").filter(has_text="Requests").first
    before = figure.inner_text()
    wait_for(lambda: figure.inner_text() != before, "a new figure", seconds=60)


HOSTILE = (
    "<img src=x onerror=alert(1)><script>alert(2)</script>"
    "![seen](http://198.51.100.7/pixel.png) [press](javascript:alert(3)) \u202etxt"
)


def test_hostile_words_are_words(view: Watched, demo: Demo) -> None:
    """No page loads, runs or turns around anything that a label, a model or a prompt says."""
    now, exchange_id = datetime.now(UTC), str(uuid.uuid4())
    names = ("feature", "user_id", "session_id", "environment", "request_model", "error_message")
    with store.write(demo.store, wait_seconds=20) as con:
        con.execute(
            f"INSERT INTO exchanges (exchange_id, started_at, outcome, cost_usd, duration_seconds, "
            f"provider, {', '.join(names)}) VALUES (?, ?, 'provider_error', 9.5, 1.0, ?, "
            f"{', '.join('?' * len(names))})",
            [exchange_id, now, HOSTILE, *[HOSTILE] * len(names)],
        )
        con.execute(
            "INSERT INTO contents (exchange_id, started_at, target, request_body, request_headers,"
            " response_headers) VALUES (?, ?, '/v1/chat/completions', ?, '[]', '[]')",
            [exchange_id, now, HOSTILE.encode()],
        )
    try:
        view.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        for path, text in PAGES.items():
            view.visit(f"{path}?last=24h", text)
            assert view.page.locator("[data-testid=stMain] img[src*='198.51']").count() == 0
        page = view.visit("/?last=24h", "Top features")
        for chart in ("course", "top-feature", "top-model"):
            canvas = page.locator(f".st-key-{chart} canvas").first
            canvas.scroll_into_view_if_needed()
            for share in (0.45, 0.6, 0.9):  # tips are HTML; what they say must not be
                size = canvas.bounding_box()
                assert size is not None
                canvas.hover(position={"x": size["width"] * share, "y": 22}, force=True)
            assert page.locator("img[src='x']").count() == 0
        page = view.visit(f"/exchange?id={exchange_id}", "What it cost")
        expect(page.get_by_text("<img src=x onerror=alert(1)>").first).to_be_visible()
        assert page.locator("a[href^='javascript']").count() == 0
    finally:
        with store.write(demo.store, wait_seconds=20) as con:
            for table in ("exchanges", "contents"):
                con.execute(f"DELETE FROM {table} WHERE exchange_id = ?::UUID", [exchange_id])
