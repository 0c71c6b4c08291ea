"""Rows of a store as a stranger reads them: DuckDB's own client, read-only, for a moment.

Owns waiting for rows that are not there yet. Refuses to go through Meterline's own store code.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

Row = dict[str, Any]
DEADLINE_SECONDS = 10.0
_NOT_NOW = ("could not set lock", "does not exist", "cannot open", "different configuration")


def select(
    store: Path, sql: str, values: Sequence[Any] = (), *, seconds: float = 30.0
) -> list[Row]:
    """The rows of one query; waits while the poster has the file or has not made it yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with duckdb.connect(str(store), read_only=True) as con:
                con.execute("SET TimeZone = 'UTC'")
                cursor = con.execute(sql, list(values))
                names = [column[0] for column in cursor.description]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except duckdb.Error as error:
            later = any(phrase in str(error).lower() for phrase in _NOT_NOW)
            if not later or time.monotonic() >= deadline:
                raise
        time.sleep(0.02)


def wait_for_rows(
    store: Path, sql: str, values: Sequence[Any], count: int, seconds: float = DEADLINE_SECONDS
) -> list[Row]:
    """The rows of a query once there are `count` of them; after the deadline what there is."""
    deadline = time.monotonic() + seconds
    while len(rows := select(store, sql, values)) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return rows


def rows_of_test(store: Path, test_id: str, count: int) -> list[Row]:
    """The exchanges that bear the tag `test`, oldest first, with their captured bodies."""
    sql = (
        "SELECT e.*, c.request_body, c.response_body FROM exchanges e "
        "LEFT JOIN contents c USING (exchange_id) "
        "WHERE e.tags['test'] = ? ORDER BY e.started_at, e.exchange_id"
    )
    return wait_for_rows(store, sql, [test_id], count)
