"""Answers that can be fetched again by their id, and which exchange bears what they used.

Owns that each is billed once. The exchange that made the answer bears it, if the provider told it
the usage there. If not (a response in the background is only queued, a stream was cut), it keeps
its estimate, or stays unpriced, until another fetches the answer and is told: then the estimate is
taken back, and what the answer used is in the row of the first exchange that fetched it. Their
order makes no difference. Two answers of one id that were asked for, and not fetched, are
two. Refuses to know bodies; `assembly` says who fetched what.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from analytics import hours
from analytics.found import Records
from analytics.usage_columns import to_columns
from proxy.facts import Usage

BILLED_DAYS = 35
"""Providers keep answers for a month; so long is remembered what was billed."""
_CLOCKS = timedelta(hours=1)
"""So far the clocks of nodes may be apart."""
_NO_USAGE: dict[str, Any] = {
    **dict.fromkeys(to_columns(Usage())),
    **dict.fromkeys(("usage_source", "cost_status", "price_ref")),
}
_COSTS = ("cost_usd", "input_cost_usd", "output_cost_usd")
TAKEN_BACK = ", ".join(
    [*(f"{name} = NULL" for name in _NO_USAGE), *(f"{name} = 0" for name in _COSTS)]
)
"""What an exchange is set to that another one bears the usage for: here it cost nothing."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """An exchange that bears an answer's usage. `told`: the provider told it; `fetched`: it asked
    for an answer that another one had made."""

    exchange_id: str
    told: bool
    fetched: bool


def bearer(record: Records) -> Bearer:
    row = record.exchange
    return Bearer(row.exchange_id, row.usage_source == "provider", record.fetched)


def gives_way(mine: Bearer, before: Bearer | None) -> bool:
    """Whether another one bears it already."""
    if before is None or not before.told:
        return False
    return mine.fetched or (before.fetched and not mine.told)


def takes_over(mine: Bearer, before: Bearer | None) -> bool:
    """Whether what another one bears is taken back."""
    if before is None or not mine.told:
        return False
    return not before.told if mine.fetched else before.fetched


@dataclass(slots=True)
class Settling:
    """Takes records one after the other, and says which bear what their answers used."""

    known: dict[str, Bearer]
    """Who bears these answers so far."""
    new: list[Records] = field(default_factory=list)
    """Those that bear an answer which nobody did, or which another one gave up."""
    taken_back: list[str] = field(default_factory=list)
    """Exchanges that gave one up."""

    def settle(self, record: Records) -> Records:
        """The record, without its usage where another one bears it."""
        answer = record.response_id
        if answer is None:
            return record
        mine, before = bearer(record), self.known.get(answer)
        if before is not None and before.exchange_id == mine.exchange_id:
            self.known[answer] = mine
            return record
        if gives_way(mine, before):
            return unbilled(record)
        if before is not None and takes_over(mine, before):
            self.taken_back.append(before.exchange_id)
            before = None
        if before is None:
            self.known[answer] = mine
            self.new.append(record)
        return record


def billed_once(con: duckdb.DuckDBPyConnection, records: Sequence[Records]) -> Sequence[Records]:
    """The records without usage that another exchange bears; they themselves where nothing is to
    do. What rows in the store bear, and one of these is told better, is taken back there."""
    settling = Settling(_known(con, [r for r in records if r.response_id is not None]))
    kept = [settling.settle(record) for record in records]
    places = {record.exchange.exchange_id: n for n, record in enumerate(records)}
    for exchange_id in settling.taken_back:
        if (place := places.get(exchange_id)) is not None:
            kept[place] = unbilled(kept[place])
    _take_back(con, [each for each in settling.taken_back if each not in places])
    unchanged = all(one is other for one, other in zip(kept, records, strict=True))
    return records if unchanged else kept


def _known(con: duckdb.DuckDBPyConnection, records: Sequence[Records]) -> dict[str, Bearer]:
    """Who bears these answers so far. Those that were asked for and not fetched are new: of them
    only what was fetched meanwhile matters, so that little is looked through."""
    fetched = [str(r.response_id) for r in records if r.fetched]
    made = [r for r in records if not r.fetched]
    since = min((r.exchange.started_at for r in made), default=None)
    ids = [str(r.response_id) for r in made]
    known = bearers(con, ids, since=since - _CLOCKS if since else None)
    return known | bearers(con, fetched)


def unbilled(record: Records) -> Records:
    """The record without the usage that another exchange bears."""
    nothing = None if record.fetched else Decimal(0)  # fetching is free at any rate
    row = replace(record.exchange, **_NO_USAGE, **dict.fromkeys(_COSTS, nothing))
    return replace(record, exchange=row, response_id=None)


def bearers(
    con: duckdb.DuckDBPyConnection,
    response_ids: Sequence[str],
    *,
    since: datetime | None = None,
    noted: str = "billed_responses",
    tables: Iterable[str] = ("exchanges",),
) -> dict[str, Bearer]:
    """Which exchange bears each of these answers, where one does; one that was told before others.

    What the exchanges are is looked up in the tables, the first that has them. One that is in none
    was pruned; its usage was told.
    """
    if not response_ids:
        return {}
    found = con.execute(
        f"SELECT response_id, CAST(exchange_id AS VARCHAR) FROM {noted} "
        "WHERE response_id IN (SELECT unnest(?::VARCHAR[])) "
        "AND (?::TIMESTAMPTZ IS NULL OR billed_at >= ?::TIMESTAMPTZ) ORDER BY ALL",
        [list(response_ids), since, since],
    ).fetchall()
    rows: dict[str, Bearer] = {}
    for table in tables:
        rows = _rows(con, table, [exchange_id for _, exchange_id in found]) | rows
    known: dict[str, Bearer] = {}
    for response_id, exchange_id in found:
        one = rows.get(exchange_id, Bearer(exchange_id, told=True, fetched=False))
        before = known.get(response_id)
        if before is None or (one.told and not before.told):
            known[response_id] = one
    return known


def _rows(
    con: duckdb.DuckDBPyConnection, table: str, exchange_ids: Sequence[str]
) -> dict[str, Bearer]:
    if not exchange_ids:
        return {}
    found = con.execute(
        "SELECT CAST(exchange_id AS VARCHAR), usage_source IS NOT DISTINCT FROM 'provider', "
        "coalesce(operation = 'cancel' OR (method = 'GET' AND operation <> 'chat'), false) "
        f"FROM {table} WHERE exchange_id IN (SELECT CAST(unnest(?) AS UUID))",
        [list(exchange_ids)],
    ).fetchall()
    return {exchange_id: Bearer(exchange_id, *values) for exchange_id, *values in found}


def _take_back(con: duckdb.DuckDBPyConnection, exchange_ids: Sequence[str]) -> None:
    if exchange_ids:
        these = "WHERE exchange_id IN (SELECT CAST(unnest(?) AS UUID))"
        con.execute(f"UPDATE exchanges SET {TAKEN_BACK} {these}", [list(exchange_ids)])
        con.execute(f"DELETE FROM billed_responses {these}", [list(exchange_ids)])
        hours.renew(con, exchange_ids)


def remember_billed(
    con: duckdb.DuckDBPyConnection, records: Sequence[Records], table: str = "billed_responses"
) -> None:
    """Note who bears which answers."""
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


def forget_billed(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        f"DELETE FROM billed_responses WHERE billed_at < now() - INTERVAL {BILLED_DAYS} DAY"
    )
