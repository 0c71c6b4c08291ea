"""SQL from elsewhere: one SELECT, on a store that it can only read.

Owns what is accepted and the limits: rows, time, memory. DuckDB's own parser decides what a
statement is; the connection is read-only, without files, network and settings. Refuses to format.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import duckdb

from analytics import store

_AT_ONCE = 200
"""Rows fetched together."""


class SqlRefused(Exception):
    """The text is not one SELECT, or it broke a limit; the message says which."""


def run(
    path: Path,
    sql: str,
    *,
    max_rows: int = 10_000,
    max_bytes: int | None = None,
    timeout_seconds: float = 30.0,
    wait_seconds: float = 5.0,
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The columns and the first `max_rows` rows of a query.

    Raises SqlRefused for what is not one SELECT, takes too long or too much memory, or finds more
    than about `max_bytes` (None: any size), StoreError where the store cannot be opened,
    duckdb.Error for mistakes in the SQL.
    """
    accepted = one_select(sql)
    with store.read(path, locked_down=True, wait_seconds=wait_seconds) as con:
        timer = threading.Timer(timeout_seconds, con.interrupt)
        timer.start()
        try:
            con.execute(accepted)
            names = [column[0] for column in con.description or ()]
            return names, _fetched(con, max_rows, max_bytes)
        except duckdb.InterruptException:
            raise SqlRefused(f"stopped after {timeout_seconds:g} seconds") from None
        except duckdb.OutOfMemoryException:
            raise SqlRefused(f"needs more than {store.LOCKED_DOWN_MEMORY} of memory") from None
        finally:
            timer.cancel()
            timer.join()


def _fetched(
    con: duckdb.DuckDBPyConnection, max_rows: int, max_bytes: int | None
) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    size = 0
    while len(rows) < max_rows and (some := con.fetchmany(min(_AT_ONCE, max_rows - len(rows)))):
        rows += some
        size += sum(_size(value) for row in some for value in row)
        if max_bytes is not None and size > max_bytes:
            raise SqlRefused(
                f"finds more than {max_bytes / 1e6:.0f} MB; select fewer rows or shorter columns"
            )
    return rows


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes) else len(str(value))


def one_select(sql: str) -> str:
    """The statement, where the text is exactly one that only selects."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise SqlRefused(str(error)) from None
    if len(statements) != 1:
        raise SqlRefused(f"exactly one SELECT statement is accepted, not {len(statements)}")
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = str(statements[0].type).rpartition(".")[2]
        raise SqlRefused(f"only SELECT is accepted, not {kind}")
    return statements[0].query
