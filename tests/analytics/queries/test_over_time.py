from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from analytics import store
from analytics.queries import Selection
from analytics.queries.over_time import (
    TooManyBuckets,
    bucket_for,
    durations_over_time,
    over_time,
)
from analytics.windows import Window
from tests.support import oracle
from tests.support.oracle import Line
from tests.support.small_store import AT, exchange, fill

Lines = list[Line]
LENGTHS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
NOW = MONDAY + timedelta(days=7)


@pytest.mark.parametrize("bucket", ["hour", "day", "week"])
def test_every_bucket_of_every_group_is_that_of_the_ledger(
    week: duckdb.DuckDBPyConnection, lines: Lines, bucket: str
) -> None:
    length = LENGTHS[bucket]
    top = oracle.by_cost(oracle.grouped(lines, "feature"))[:3]

    def place(line: Line) -> tuple[str, str | None]:
        return ("group", line["feature"]) if line["feature"] in top else ("rest", None)

    groups = oracle.grouped(lines, place)
    groups["total", None] = lines
    window = Window(since=MONDAY - timedelta(days=7), until=NOW)
    chosen = Selection(window=window)
    frame = over_time(week, chosen, by="feature", bucket=bucket, limit=3)  # type: ignore[arg-type]
    order = [("group", name) for name in top] + [("rest", None), ("total", None)]
    assert list(dict.fromkeys(frame.select("part", "name").iter_rows())) == order
    count = (NOW - window.since) // length if window.since else 0
    assert frame.height == 5 * count
    for row in frame.to_dicts():
        members = oracle.between(
            groups[row["part"], row["name"]], row["start"], row["start"] + length
        )
        assert row["exchanges"] == len(members)
        assert row["errors"] == len(oracle.errors(members))
        assert row["cost_usd"] == (oracle.usd(members) if members else 0)
        assert row["input_tokens"] == (oracle.tokens(members, "input") if members else 0)
        assert row["not_fully_priced"] == oracle.not_fully_priced(members)


def test_without_a_dimension_there_is_the_total_only(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    frame = over_time(week, Selection())
    assert set(frame["part"]) == {"total"}
    assert frame["start"].to_list() == [MONDAY + timedelta(days=n) for n in range(7)]
    assert frame["exchanges"].sum() == len(lines)


def test_months_begin_on_their_first(tmp_path: Path) -> None:
    path = fill(
        tmp_path / store.NAME,
        exchange(started_at=datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)),
        exchange(started_at=datetime(2026, 3, 1, tzinfo=UTC)),
    )
    with store.read(path) as con:
        frame = over_time(con, Selection(), bucket="month")
    assert frame["start"].to_list() == [datetime(2026, n, 1, tzinfo=UTC) for n in (1, 2, 3)]
    assert frame["exchanges"].to_list() == [1, 0, 1]


def test_unknown_costs_are_null_and_empty_buckets_zero(tmp_path: Path) -> None:
    path = fill(
        tmp_path / store.NAME,
        exchange(cost_usd=None, cost_status="unpriced"),
        exchange(started_at=AT + timedelta(days=2)),
    )
    with store.read(path) as con:
        assert over_time(con, Selection())["cost_usd"].to_list() == [None, 0, 1]


def test_buckets_end_now_where_the_window_has_no_end(week: duckdb.DuckDBPyConnection) -> None:
    open_ended = Selection(window=Window(since=NOW - timedelta(hours=2)))
    now = NOW + timedelta(hours=3)
    frame = over_time(week, open_ended, bucket="hour", now=now)
    assert frame["start"].to_list() == [NOW + timedelta(hours=n) for n in range(-2, 3)]
    today = Selection(window=Window(since=NOW, until=NOW + timedelta(days=1)))
    assert over_time(week, today, bucket="hour", now=now).height == 3


def test_an_empty_store_has_empty_buckets_of_a_window_and_none_without(tmp_path: Path) -> None:
    path = fill(tmp_path / store.NAME)
    with store.read(path) as con:
        assert over_time(con, Selection()).is_empty()
        assert durations_over_time(con, Selection()).is_empty()
        window = Window(since=AT, until=AT + timedelta(days=1))
        frame = over_time(con, Selection(window=window), by="feature")
    assert frame["exchanges"].to_list() == [0, 0]
    assert set(frame["part"]) == {"total"}


def test_too_many_buckets_are_refused(tmp_path: Path) -> None:
    path = fill(tmp_path / store.NAME)
    window = Window(since=datetime(2020, 1, 1, tzinfo=UTC), until=AT)
    with store.read(path) as con, pytest.raises(TooManyBuckets, match="one hour"):
        over_time(con, Selection(window=window), bucket="hour")


def test_durations_by_day_are_those_of_the_ledger(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    for row in durations_over_time(week, Selection()).to_dicts():
        inside = oracle.between(lines, row["start"], row["start"] + timedelta(days=1))
        whole = [line for line in inside if line["outcome"] == "completed"]
        assert row["answered"] == len(whole)
        seconds = oracle.known(whole, "duration_seconds")
        assert row["p95_seconds"] == pytest.approx(oracle.percentile(seconds, 95))
        first = oracle.known(whole, "time_to_first_chunk_seconds")
        assert row["p50_first_chunk_seconds"] == pytest.approx(oracle.percentile(first, 50))


@pytest.mark.parametrize(
    ("days", "bucket"), [(1, "hour"), (3, "hour"), (7, "day"), (120, "day"), (200, "week")]
)
def test_the_size_of_buckets_suits_the_window(days: int, bucket: str) -> None:
    assert bucket_for(Window(since=NOW - timedelta(days=days)), NOW) == bucket
