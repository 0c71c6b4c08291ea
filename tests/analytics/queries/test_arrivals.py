"""Whoever follows the store sees each exchange once, as the ledger has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from analytics import store
from analytics.queries import Selection
from analytics.queries.arrivals import Place, last, since
from tests.support import oracle
from tests.support.oracle import Line

Lines = list[Line]
CHAT = Selection(values={"feature": ["chat"]})
_MOVE = "INSERT INTO exchanges SELECT * FROM week.exchanges WHERE started_at::DATE = ?::DATE"


def told(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return frame.to_dicts()


def held(row: dict[str, Any], line: Line) -> None:
    """A row says what the ledger says of its exchange."""
    for name in (
        *("exchange_id", "started_at", "duration_seconds", "time_to_first_chunk_seconds"),
        *("provider", "model", "stream", "status", "outcome", "error_type", "usage_source"),
        *("cost_status", "feature", "user_id"),
    ):
        assert row[name] == line[name], name
    for name in ("input", "output", "cache_read"):
        assert row[f"{name}_tokens"] == line["tokens"].get(name)
    assert row["cost_usd"] == oracle.usd([line])


@pytest.fixture
def growing(week_path: Path, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty store, and the week beside it."""
    with store.write(tmp_path / store.NAME) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"ATTACH '{store.quoted(week_path)}' AS week (READ_ONLY)")
        yield con


def days(lines: Lines) -> Iterator[tuple[Any, Lines]]:
    yield from oracle.grouped(lines, lambda line: line["started_at"].date()).items()


@pytest.mark.parametrize("chosen", [Selection(), CHAT], ids=["all", "one feature"])
def test_day_by_day_what_came_is_what_the_ledger_has(
    growing: duckdb.DuckDBPyConnection, lines: Lines, chosen: Selection
) -> None:
    place = Place()
    for day, members in days(lines):
        growing.execute(_MOVE, [day])
        frame, place = since(growing, chosen, place)
        expected = [line for line in members if not chosen.values or line["feature"] == "chat"]
        for row, line in zip(told(frame), expected, strict=True):
            held(row, line)
        assert place.exchange_id == members[-1]["exchange_id"]
        assert since(growing, chosen, place)[0].is_empty()


def test_the_last_ones_are_those_of_the_ledger(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    for chosen, members in (
        (Selection(), lines),
        (CHAT, [line for line in lines if line["feature"] == "chat"]),
    ):
        frame, place = last(week, chosen, 25)
        for row, line in zip(told(frame), members[-25:], strict=True):
            held(row, line)
        assert place.exchange_id == lines[-1]["exchange_id"]


def test_after_the_store_was_pruned_only_what_is_new_comes(
    growing: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    (monday, _), (tuesday, theirs), (wednesday, new), *_ = days(lines)
    for day in (monday, tuesday):
        growing.execute(_MOVE, [day])
    _, place = last(growing, Selection(), 1)
    growing.execute("CREATE TABLE kept AS SELECT * FROM exchanges ORDER BY rowid")
    growing.execute("DELETE FROM kept WHERE started_at::DATE = ?::DATE", [monday])
    growing.execute("DROP TABLE exchanges")
    growing.execute("ALTER TABLE kept RENAME TO exchanges")
    assert since(growing, Selection(), place)[0].is_empty()
    growing.execute(_MOVE, [wednesday])
    frame, _ = since(growing, Selection(), place)
    assert frame["exchange_id"].to_list() == [line["exchange_id"] for line in new]
    assert place.exchange_id == theirs[-1]["exchange_id"]


def test_where_the_last_row_is_gone_following_goes_on_from_the_end(
    growing: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    (monday, _), (tuesday, new), *_ = days(lines)
    growing.execute(_MOVE, [monday])
    _, place = last(growing, Selection(), 1)
    growing.execute("DELETE FROM exchanges WHERE exchange_id = ?::UUID", [place.exchange_id])
    frame, place = since(growing, Selection(), place)
    assert frame.is_empty()
    growing.execute(_MOVE, [tuesday])
    assert since(growing, Selection(), place)[0].height == len(new)
