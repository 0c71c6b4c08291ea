"""Rows into the store's tables.

Owns the way from records to Arrow tables and into DuckDB, and which exchanges have a row. Refuses
to decide what a row says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from analytics.found import Records
from analytics.schema import RECORDS, arrow_table, create_table
from proxy.exchange import Attempt, Content, Decision, Exchange, Loss


@dataclass(frozen=True, slots=True)
class Rows:
    """Arrow tables by the name of the store's table."""

    tables: dict[str, pa.Table]


def rows_of(records: Sequence[Records]) -> Rows:
    """Raises where a value does not fit its column."""
    return Rows(
        {
            "exchanges": arrow_table(Exchange, [r.exchange for r in records]),
            "attempts": arrow_table(Attempt, [row for r in records for row in r.attempts]),
            "decisions": arrow_table(Decision, [row for r in records for row in r.decisions]),
            "contents": arrow_table(Content, [r.content for r in records if r.content]),
        }
    )


def insert(con: duckdb.DuckDBPyConnection, rows: Rows) -> None:
    for name, table in rows.tables.items():
        if table.num_rows:
            con.register("incoming", table)
            con.execute(f"INSERT INTO {name} BY NAME SELECT * FROM incoming")
            con.unregister("incoming")


def insert_losses(con: duckdb.DuckDBPyConnection, losses: Sequence[Loss]) -> None:
    insert(con, Rows({"losses": arrow_table(Loss, losses)}))


def fitting(records: Sequence[Records], instead: Callable[[int, str], Records]) -> list[Records]:
    """Each record as it is where the store would take it, else `instead(its place, why)`."""
    fit = list(records)
    with duckdb.connect(":memory:") as con:
        for name in RECORDS:
            con.execute(create_table(name))
        for number, why in _refused(con, fit, 0, len(fit)):
            fit[number] = instead(number, f"does not fit the store: {why}")
    return fit


def _refused(
    con: duckdb.DuckDBPyConnection, records: list[Records], start: int, end: int
) -> Iterator[tuple[int, str]]:
    """The places of those that do not fit, found by halving."""
    try:
        insert(con, rows_of(records[start:end]))
    except (duckdb.Error, pa.ArrowException, ValueError, TypeError, OverflowError) as fault:
        if end - start == 1:
            yield start, str(fault)
            return
        middle = (start + end) // 2
        yield from _refused(con, records, start, middle)
        yield from _refused(con, records, middle, end)


def posted_before(con: duckdb.DuckDBPyConnection, exchange_ids: Sequence[str]) -> set[str]:
    """Those that have a row."""
    if not exchange_ids:
        return set()
    found = con.execute(
        "SELECT CAST(exchange_id AS VARCHAR) FROM exchanges "
        "WHERE exchange_id IN (SELECT CAST(unnest(?) AS UUID))",
        [list(exchange_ids)],
    ).fetchall()
    return {exchange_id for (exchange_id,) in found}


def losses_so_far(con: duckdb.DuckDBPyConnection) -> int:
    ((total,),) = con.execute("SELECT coalesce(sum(count), 0) FROM losses").fetchall()
    return int(total)
