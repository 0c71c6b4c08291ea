"""Sums by hour: whatever is asked, they say what the exchanges themselves say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from analytics import hours, store
from analytics.poster import Poster
from analytics.prices import PriceBook
from analytics.queries import Selection
from analytics.queries.blind_spots import blind_spots, unpriced
from analytics.queries.choices import choices
from analytics.queries.cross import cross
from analytics.queries.failures import failures
from analytics.queries.forecast import forecast_by_day
from analytics.queries.missing_usage import missing_usage
from analytics.queries.over_time import durations_over_time, over_time
from analytics.queries.overview import overview
from analytics.queries.people import people
from analytics.queries.shares import shares
from analytics.queries.spend import spend
from analytics.queries.timing import timing
from analytics.queries.usage import usage
from analytics.reports.anomalies import anomalies
from analytics.reports.change import change
from analytics.reports.prompts import prompts
from analytics.reprice import reprice
from analytics.windows import Window
from sample_data.generator import Window as Traffic
from sample_data.generator import fill_rows
from tests.support.small_store import AT, exchange, fill

END = datetime(2026, 11, 24, 7, 30, tzinfo=UTC)
BOOK = PriceBook()
Query = Callable[[duckdb.DuckDBPyConnection, Selection], pl.DataFrame]


def windows() -> Iterator[Window]:
    odd = timedelta(minutes=17, seconds=3, microseconds=1)
    yield Window()
    yield Window(since=END - timedelta(days=3))
    yield Window(since=END - timedelta(days=3) + odd)
    yield Window(until=END - timedelta(days=1) - odd)
    yield Window(since=END - timedelta(days=2) + odd, until=END - timedelta(hours=5) - odd)
    yield Window(since=END - timedelta(hours=5) + odd, until=END - timedelta(hours=5) + 2 * odd)


def selections() -> Iterator[Selection]:
    for window in windows():
        yield Selection(window=window)
    window = Window(since=END - timedelta(days=3, minutes=11))
    yield Selection(window=window, values={"feature": ["support", None], "outcome": ["completed"]})
    yield Selection(window=window, values={"user": [None], "status": ["200"]})
    yield Selection(window=window, values={"tag:team": ["growth"]})
    yield Selection(window=window, errors_only=True)


def before(selection: Selection) -> Selection:
    return Selection(window=Window(until=selection.window.since or END), values=selection.values)


QUERIES: dict[str, Query] = {
    "overview": lambda con, s: overview(con, s, before(s)),
    **{
        f"spend by {by}": lambda con, s, by=by: spend(con, by, s)  # type: ignore[misc]
        for by in ("feature", "model", "user", "session", "prompt", "key", "tag:team")
    },
    "shares": lambda con, s: shares(con, "environment", s),
    "cross": lambda con, s: cross(con, "feature", "model", s),
    "usage": lambda con, s: usage(con, "model", s),
    "timing": lambda con, s: timing(con, "provider", s),
    "failures": lambda con, s: failures(con, "provider", s),
    "people": lambda con, s: people(con, "user", s, before(s)),
    "by hour": lambda con, s: over_time(con, s, by="model", bucket="hour", now=END),
    "by week": lambda con, s: over_time(con, s, bucket="week", now=END),
    "durations": lambda con, s: durations_over_time(con, s, now=END),
    "blind spots": blind_spots,
    "unpriced": unpriced,
    "missing usage": missing_usage,
    "choices": lambda con, s: choices(con, "user", s),
    "forecast": lambda con, s: forecast_by_day(con, s, END),
    "prompts": lambda con, s: prompts(con, s).versions,
    "prompt changes": lambda con, s: prompts(con, s).changes,
    "anomalies": lambda con, s: anomalies(con, BOOK, s, END).findings,
}


@pytest.fixture(scope="module")
def two_ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """The same week twice: with sums, and without."""
    cons = []
    for name in ("summed", "plain"):
        folder = tmp_path_factory.mktemp(name)
        fill_rows(folder, Traffic(end=END, days=5, scale=0.05), 20_000)
        if name == "plain":
            with store.write(folder / store.NAME) as con:
                hours.forget(con)
        con = duckdb.connect(folder / store.NAME, read_only=True)
        con.execute("SET TimeZone = 'UTC'")
        cons.append(con)
    assert hours.summed_until(cons[0]) is not None
    assert hours.summed_until(cons[1]) is None
    yield cons
    for con in cons:
        con.close()


@pytest.mark.parametrize("name", QUERIES)
def test_sums_answer_as_the_exchanges_do(two_ways: list[Any], name: str) -> None:
    for selection in selections():
        summed, plain = (QUERIES[name](con, selection) for con in two_ways)
        assert_frame_equal(summed, plain, check_exact=False, abs_tol=1e-9)


def test_a_changed_bill_is_explained_alike(two_ways: list[Any]) -> None:
    middle = END - timedelta(days=2, minutes=20)
    after = Selection(window=Window(since=middle))
    found = [change(con, BOOK, after, Window(until=middle)) for con in two_ways]
    for frame in ("summary", "groups", "drivers", "coverage"):
        assert_frame_equal(*(getattr(each, frame) for each in found))


def test_most_of_the_past_is_summed(two_ways: list[Any]) -> None:
    ((rows, exchanges),) = (
        two_ways[0].execute("SELECT count(*), sum(exchanges) FROM hours").fetchall()
    )
    assert rows < exchanges == 20_000


def summed(path: Path) -> tuple[int | None, int]:
    """Until where, and how many exchanges."""
    with store.read(path) as con:
        ((count,),) = con.execute("SELECT coalesce(sum(exchanges), 0) FROM hours").fetchall()
        return hours.summed_until(con), int(count)


def sum_all(path: Path, now: datetime) -> None:
    with store.write(path) as con:
        hours.sum_all(con, now)


def test_an_hour_is_summed_when_it_has_been_over_for_a_while(tmp_path: Path) -> None:
    start = AT.replace(minute=0)
    given = [exchange(started_at=start + timedelta(minutes=each)) for each in (1, 59, 61)]
    path = fill(tmp_path / store.NAME, *given)
    sum_all(path, start + timedelta(hours=1, minutes=5))
    assert summed(path)[1] == 0
    sum_all(path, start + timedelta(hours=1) + hours.LATE)
    assert summed(path)[1] == 2
    assert (
        hours.next_over(start + timedelta(hours=1) + hours.LATE)
        == start + timedelta(hours=2) + hours.LATE
    )


def test_a_clock_that_goes_back_sums_nothing_twice(tmp_path: Path) -> None:
    path = fill(tmp_path / store.NAME, exchange(), exchange(started_at=AT + timedelta(hours=3)))
    for later in (5, 1, 5):
        sum_all(path, AT + timedelta(hours=later))
    assert summed(path)[1] == 2


def test_many_hours_are_summed_a_piece_at_a_time(tmp_path: Path) -> None:
    given = [exchange(started_at=AT + timedelta(hours=each)) for each in range(0, 40, 5)]
    path = fill(tmp_path / store.NAME, *given)
    now, pieces = AT + timedelta(days=3), 0
    with store.write(path) as con:
        while not hours.sum_up(con, now):
            pieces += 1
            rows = con.execute("SELECT sum(exchanges) FROM hours").fetchall()
            until = hours.summed_until(con)
            assert until is not None
            below = datetime.fromtimestamp(until * 3600, UTC)
            assert rows[0][0] == sum(each.started_at < below for each in given)
    assert pieces >= 3
    assert summed(path)[1] == len(given)


def test_rows_that_somebody_else_adds_are_seen_at_once_and_summed_later(tmp_path: Path) -> None:
    path = fill(tmp_path / store.NAME, exchange(feature="chat"))
    now = AT + timedelta(hours=2)
    sum_all(path, now)
    fill(path, exchange(feature="chat"))
    with store.read(path) as con:
        assert hours.summed_until(con) is None
        assert spend(con, "feature", Selection())["exchanges"].to_list() == [2, 2]
    sum_all(path, now)
    assert summed(path)[1] == 2


def test_what_comes_late_is_added_to_its_hour(traffic: Any, poster: Poster, data_dir: Path) -> None:
    traffic.exchange()
    poster.post_once()
    while poster.sum_up():
        continue
    path = data_dir / store.NAME
    until, count = summed(path)
    assert until is not None
    assert count == 1
    for _ in range(3):
        traffic.exchange()
    poster.post_once()
    assert summed(path) == (until, 4)
    with store.read(path) as con:
        (row,) = con.execute(
            "SELECT sum(input_tokens), sum(cost_usd) = (SELECT sum(cost_usd) FROM exchanges), "
            "max(last_exchange_id) = (SELECT max(exchange_id) FROM exchanges) FROM hours"
        ).fetchall()
    assert row == (4000, True, True)


def test_new_prices_make_the_sums_anew(tmp_path: Path) -> None:
    wrong = exchange(provider="openai", request_model="gpt-4o", operation="chat", cost_usd=None)
    path = fill(tmp_path / store.NAME, wrong)
    now = AT + timedelta(hours=2)
    sum_all(path, now)
    reprice(path, BOOK)
    assert summed(path) == (None, 0)
    with store.read(path) as con:
        cost = spend(con, "feature", Selection())["cost_usd"][-1]
    assert 0 < cost < 1
    sum_all(path, now)
    with store.read(path) as con:
        assert spend(con, "feature", Selection())["cost_usd"][-1] == cost


def test_sums_of_another_kind_are_not_used(tmp_path: Path, monkeypatch: Any) -> None:
    path = fill(tmp_path / store.NAME, exchange())
    sum_all(path, AT + timedelta(hours=2))
    monkeypatch.setattr(hours, "VERSION", hours.VERSION + 1)
    assert summed(path)[0] is None
    sum_all(path, AT + timedelta(hours=2))
    assert summed(path)[1] == 1
