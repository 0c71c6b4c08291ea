"""Rows as they arrive in the store, for whoever follows it.

Owns the place up to which a follower has read. Rows lie in the order in which they were posted;
where the store was compacted or rebuilt meanwhile, the place is found again by its last row.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import polars as pl

from analytics.queries import Selection, condition

COLUMNS = (
    "exchange_id",
    "started_at",
    "duration_seconds",
    "time_to_first_chunk_seconds",
    "provider",
    "coalesce(response_model, request_model) AS model",
    "stream",
    "status",
    "outcome",
    "error_type",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "usage_source",
    "cost_usd",
    "cost_status",
    "feature",
    "user_id",
)
_SELECT = ", ".join(COLUMNS).replace(
    "exchange_id", "CAST(exchange_id AS VARCHAR) AS exchange_id", 1
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Up to where a follower has read: the last row and its id; none in an empty store."""

    row: int = -1
    exchange_id: str | None = None


def last(
    con: duckdb.DuckDBPyConnection, selection: Selection, count: int
) -> tuple[pl.DataFrame, Place]:
    """The selected ones of the last rows, `count` at most, and the place behind all rows.

    Columns as in COLUMNS: seconds, tokens, USD; `exchange_id` is text.
    """
    where, parameters = condition(selection)
    frame = _frame(
        con,
        f"SELECT * FROM (SELECT {_SELECT}, rowid AS row FROM exchanges WHERE {where} "
        "ORDER BY rowid DESC LIMIT ?) ORDER BY row",
        [*parameters, count],
    )
    return frame, _end(con)


def since(
    con: duckdb.DuckDBPyConnection, selection: Selection, place: Place
) -> tuple[pl.DataFrame, Place]:
    """The selected ones of the rows behind `place`, and the place behind all rows."""
    where, parameters = condition(selection)
    frame = _frame(
        con,
        f"SELECT {_SELECT}, rowid AS row FROM exchanges WHERE rowid > ? AND {where} ORDER BY row",
        [_found_again(con, place), *parameters],
    )
    return frame, _end(con)


def _frame(con: duckdb.DuckDBPyConnection, sql: str, parameters: list[object]) -> pl.DataFrame:
    frame = pl.from_arrow(con.sql(sql, params=parameters).to_arrow_table())
    assert isinstance(frame, pl.DataFrame)
    return frame.drop("row")


def _end(con: duckdb.DuckDBPyConnection) -> Place:
    found = con.execute(
        "SELECT rowid, CAST(exchange_id AS VARCHAR) FROM exchanges ORDER BY rowid DESC LIMIT 1"
    ).fetchall()
    return Place(row=found[0][0], exchange_id=found[0][1]) if found else Place()


def _found_again(con: duckdb.DuckDBPyConnection, place: Place) -> int:
    """The row number of the place now; that of the last row where its row is gone."""
    if place.exchange_id is None:
        return -1
    here = con.execute(
        "SELECT 1 FROM exchanges WHERE rowid = ? AND exchange_id = CAST(? AS UUID)",
        [place.row, place.exchange_id],
    ).fetchall()
    if here:
        return place.row
    moved = con.execute(
        "SELECT rowid FROM exchanges WHERE exchange_id = CAST(? AS UUID)", [place.exchange_id]
    ).fetchall()
    return int(moved[0][0]) if moved else _end(con).row
