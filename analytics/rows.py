"""Rows into the store's tables.

Owns the way from records to Arrow tables and into DuckDB, and what must not be told twice: an
exchange that has a row, and usage that was billed. Refuses to decide what a row says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from analytics.found import Records
from analytics.schema import RECORDS, arrow_table, create_table
from analytics.usage_columns import to_columns
from proxy.exchange import Attempt, Content, Decision, Exchange, Loss
from proxy.facts import Usage

BILLED_DAYS = 35
"""Providers keep answers for a month; so long is remembered what was billed."""
_NOTHING_BILLED: dict[str, Any] = {
    **dict.fromkeys(to_columns(Usage())),
    **dict.fromkeys(("usage_source", "cost_status", "price_ref")),
    **dict.fromkeys(("cost_usd", "input_cost_usd", "output_cost_usd")),
}


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


def billed_once(con: duckdb.DuckDBPyConnection, records: Sequence[Records]) -> list[Records]:
    """Records that fetch an answer whose usage has a row lose theirs."""
    fetched = [r.response_id for r in records if r.fetched and r.response_id]
    if not fetched:
        return list(records)
    seen = set(billers(con, fetched))
    kept = []
    for record in records:
        response_id = record.response_id
        if response_id is not None:
            if record.fetched and response_id in seen:
                record = unbilled(record)
            else:
                seen.add(response_id)
        kept.append(record)
    return kept


def unbilled(record: Records) -> Records:
    """The record without the usage that another exchange paid for."""
    row = replace(record.exchange, **_NOTHING_BILLED)
    return replace(record, exchange=row, response_id=None)


def billers(
    con: duckdb.DuckDBPyConnection, response_ids: Sequence[str], table: str = "billed_responses"
) -> dict[str, str]:
    """Which exchange each of these answers was billed to, where one was."""
    found = con.execute(
        f"SELECT response_id, CAST(min(exchange_id) AS VARCHAR) FROM {table} "
        "WHERE response_id IN (SELECT unnest(?)) GROUP BY response_id",
        [list(response_ids)],
    ).fetchall()
    return dict(found)


def remember_billed(
    con: duckdb.DuckDBPyConnection, records: Sequence[Records], table: str = "billed_responses"
) -> None:
    """Note which answers are billed."""
    billed = [r for r in records if r.response_id is not None]
    if not billed:
        return
    noted = pa.table(
        {
            "response_id": pa.array([r.response_id for r in billed], pa.string()),
            "exchange_id": pa.array([r.exchange.exchange_id for r in billed], pa.string()),
            "billed_at": pa.array(
                [r.exchange.started_at for r in billed], pa.timestamp("us", tz="UTC")
            ),
        }
    )
    con.register("billed", noted)
    con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM billed")
    con.unregister("billed")


def losses_so_far(con: duckdb.DuckDBPyConnection) -> int:
    ((total,),) = con.execute("SELECT coalesce(sum(count), 0) FROM losses").fetchall()
    return int(total)


def forget_billed(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        f"DELETE FROM billed_responses WHERE billed_at < now() - INTERVAL {BILLED_DAYS} DAY"
    )
