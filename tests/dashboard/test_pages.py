"""Every page on a sample, on nothing, and while another process holds the store."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from analytics import store
from analytics.queries import Selection
from analytics.queries.spend import spend
from analytics.windows import parse
from dashboard import figures
from tests.dashboard.conftest import PAGES, Shown, words
from tests.support.holding import held


@pytest.mark.parametrize("page", PAGES)
def test_page_draws_the_sample_without_a_fault(shown: Shown, sample: Path, page: str) -> None:
    test = shown(sample, page)
    assert not test.exception
    assert not test.error


@pytest.mark.parametrize("page", PAGES)
def test_page_without_a_store_says_how_to_send_the_first_call(
    shown: Shown, tmp_path: Path, page: str
) -> None:
    test = shown(tmp_path, page)
    assert not test.exception
    assert "curl http://127.0.0.1:8080/demo/v1/chat/completions" in words(test)


def test_page_with_an_empty_store_says_how_to_send_the_first_call(
    shown: Shown, tmp_path: Path
) -> None:
    with store.write(tmp_path / store.NAME):
        pass
    assert "No exchange yet" in words(shown(tmp_path))


@pytest.mark.parametrize("page", PAGES)
def test_page_of_a_held_store_says_so(
    shown: Shown, sample: Path, tmp_path: Path, page: str
) -> None:
    shutil.copy(sample / store.NAME, tmp_path / store.NAME)
    with held(tmp_path / store.NAME):
        test = shown(tmp_path, page)
    assert not test.exception
    assert test.warning[0].title == "The store is held by another process"


def opened(path: Path) -> duckdb.DuckDBPyConnection:
    """The store, read-write, once the page's last query has let go of it."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return duckdb.connect(str(path))
        except duckdb.ConnectionException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_store_that_becomes_held_leaves_the_last_figures_on_screen(
    shown: Shown, sample: Path, tmp_path: Path
) -> None:
    path = tmp_path / store.NAME
    shutil.copy(sample / store.NAME, path)
    test = shown(tmp_path)
    before = [each.value for each in test.metric]
    with opened(path) as con:
        con.execute("INSERT INTO losses VALUES (now(), 'gone', 1, NULL)")
    with held(path):
        test.run()
        assert "Another process holds the store" in words(test).replace("\\", "")
        assert [each.value for each in test.metric] == before
    assert not test.exception


def test_overview_shows_the_spend_that_the_query_finds(shown: Shown, sample: Path) -> None:
    test = shown(sample, last="all")
    with store.read(sample / store.NAME) as con:
        total = spend(con, "feature", Selection()).filter(part="total").row(0, named=True)
    shown_figures = {each.label: each.value.replace("\\", "") for each in test.metric}
    assert shown_figures["Spend"] == figures.usd(total["cost_usd"])
    assert shown_figures["Requests"] == figures.count(total["exchanges"])


def test_filters_in_the_address_are_those_of_the_page(shown: Shown, sample: Path) -> None:
    whole = shown(sample, last="all")
    chat = shown(sample, last="all", feature=["chat"])
    with store.read(sample / store.NAME) as con:
        only = spend(con, "feature", Selection(values={"feature": ["chat"]}))
    expected = only.filter(part="total")["exchanges"][0]
    assert requests(chat) == figures.count(expected) != requests(whole)


def requests(test: object) -> str:
    found = {each.label: each.value for each in test.metric}  # type: ignore[attr-defined]
    return str(found["Requests"])


def test_selection_that_matches_nothing_offers_ways_out(shown: Shown, sample: Path) -> None:
    test = shown(sample, feature=["nobody-uses-this"])
    assert "No exchange matches" in words(test).replace("\\", "")
    test.button(key="no-filters").click().run()
    assert "No exchange matches" not in words(test).replace("\\", "")


def test_chip_takes_its_filter_away(shown: Shown, sample: Path) -> None:
    test = shown(sample, feature=["chat"], errors=True)
    assert [each.key for each in test.button if each.key.startswith("chip-")] == [
        "chip-0",
        "chip-1",
        "chip-all",
    ]
    test.button(key="chip-0").click().run()
    assert test.session_state["feature"] == []
    assert test.session_state["errors"] is True


def test_exchange_is_shown_with_its_conversation_and_cost(shown: Shown, sample: Path) -> None:
    with store.read(sample / store.NAME) as con:
        row = con.execute(
            "SELECT exchange_id::VARCHAR, cost_usd FROM exchanges JOIN contents USING (exchange_id)"
            " WHERE feature = 'chat' AND outcome = 'completed' ORDER BY cost_usd DESC LIMIT 1"
        ).fetchone()
    assert row is not None
    test = shown(sample)
    test.query_params["id"] = row[0]
    test.switch_page("views/exchange.py").run()
    assert not test.exception
    costs = {each.label: each.value.replace("\\", "") for each in test.metric}
    assert costs["Cost"] == figures.usd(Decimal(row[1]))
    assert len(test.chat_message) >= 2
    assert any("curl http://127.0.0.1:8080/" in each.value for each in test.code)


def test_sql_page_runs_one_select_and_refuses_the_rest(shown: Shown, sample: Path) -> None:
    test = shown(sample, "sql")
    test.text_area[0].set_value("SELECT count(*) AS n FROM exchanges").run()
    test.button(key="run").click().run()
    with store.read(sample / store.NAME) as con:
        count = con.execute("SELECT count(*) FROM exchanges").fetchone()
    assert count is not None
    assert test.dataframe[0].value["n"].to_list() == [count[0]]
    for refused in ("SELECT * FROM read_text('/etc/passwd')", "COMMIT; DELETE FROM exchanges"):
        test.text_area[0].set_value(refused).run()
        test.button(key="run").click().run()
        assert test.error, refused


def test_spend_explains_the_difference_to_the_window_before(shown: Shown, sample: Path) -> None:
    text = words(shown(sample, "spend", last="24h")).replace("\\", "")
    assert "Why it changed" in text


def test_session_is_shown_in_its_steps(shown: Shown, sample: Path) -> None:
    with store.read(sample / store.NAME) as con:
        found = con.execute(
            "SELECT session_id, count(*) FROM exchanges WHERE session_id IS NOT NULL "
            "GROUP BY session_id ORDER BY count(*) DESC LIMIT 1"
        ).fetchone()
    assert found is not None
    test = shown(sample, "sessions", session=[found[0]], last="all")
    assert not test.exception
    assert requests(test) == figures.count(found[1])


def test_window_of_the_page_is_that_of_the_command_line() -> None:
    from dashboard.filters import Filters

    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert Filters(last="7d").window(now) == parse("7d", now)
