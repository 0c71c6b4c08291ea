"""Stored contents read again with the reading code of today.

Owns which columns that may change (what a dialect, an estimate or the price book gives) and the
transaction in which they do. The result is what posting anew would give. Refuses to touch rows
without contents, what the relay measured, and what was billed by another exchange.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import duckdb
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]

from analytics import hours, rows, store
from analytics.assembly import assemble
from analytics.found import Records
from analytics.prices import PriceBook
from analytics.schema import arrow_table
from analytics.stored import EVERY, Filter, chunks, counts, rows_with_contents, unposted
from proxy.dialects import PARSER_VERSION
from proxy.exchange import Exchange

_log = logging.getLogger(__name__)

# Measured, or decided, while the exchange happened: no body can say otherwise.
_GIVEN = (
    *("exchange_id", "node", "started_at", "duration_seconds", "time_to_first_chunk_seconds"),
    *("overhead_seconds", "provider", "upstream", "method", "path", "status", "key_id", "client"),
    *("trace_id", "parent_span_id", "request_bytes", "response_bytes", "truncated", "attempts"),
    *("cache_hit", "rules", "parser_version"),
)
DERIVED = tuple(f.name for f in fields(Exchange) if f.name not in _GIVEN)
_BILLED = "(FROM billed_responses UNION ALL FROM newly_billed)"
_NO_CHANGE = pl.DataFrame(
    schema={"model": pl.String, "column": pl.String, "exchanges": pl.Int64, "filled": pl.Int64}
    | {"emptied": pl.Int64}
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reparsed:
    """What came of it. `changes` has a row per model and column: `model` (as read today),
    `column`, `exchanges` that changed there, how many of them were NULL before (`filled`), and
    how many are now (`emptied`). `failed`: today's code could not read them, so they stay."""

    read: int = 0
    changed: int = 0
    failed: int = 0
    without_contents: int = 0
    changes: pl.DataFrame


def reparse(
    path: Path,
    book: PriceBook,
    which: Filter = EVERY,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    wait_seconds: float = 30.0,
) -> Reparsed:
    """Read again, in one transaction and bounded memory. Raises StoreError; then nothing changed.

    `progress` is called with the exchanges read and all there are.
    """
    if not path.exists():
        raise store.StoreMissing(f"{path} does not exist yet: no exchange has been posted.")
    opening = store.read if dry_run else store.write
    with opening(path, wait_seconds=wait_seconds) as con:
        con.begin()
        done = _Rereading(con, book, which, progress).run()
        if not dry_run:
            _save(con)
        con.execute("DROP TABLE reread")
        con.execute("DROP TABLE newly_billed")
        con.commit()
    return done


class _Rereading:
    """Reads all chunks; what changes is collected in the temporary table `reread`."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        book: PriceBook,
        which: Filter,
        progress: Progress | None,
    ) -> None:
        self._con, self._book, self._which = con, book, which
        self._progress = progress
        self._failed = 0
        self._changes: list[pl.DataFrame] = []

    def run(self) -> Reparsed:
        con = self._con
        con.execute("CREATE TEMP TABLE reread AS SELECT *, true AS changed FROM exchanges LIMIT 0")
        con.execute("CREATE TEMP TABLE newly_billed AS SELECT * FROM billed_responses LIMIT 0")
        total, without_contents = counts(con, self._which)
        done = 0
        for chunk in chunks(con, self._which):
            self._read(chunk)
            done += len(chunk)
            if self._progress is not None:
                self._progress(done, total)
        return Reparsed(
            read=total - self._failed,
            changed=_one(con, "SELECT count(*) FROM reread WHERE changed"),
            failed=self._failed,
            without_contents=without_contents,
            changes=_summed(self._changes),
        )

    def _read(self, exchange_ids: list[str]) -> None:
        con = self._con
        stored = rows_with_contents(con, exchange_ids)
        assembled = [record for row in stored.to_pylist() if (record := self._assembled(row))]
        records = _billed_once(con, self._fitting(assembled), stored)
        new = arrow_table(Exchange, [record.exchange for record in records])
        con.register("stored", stored.select([f.name for f in fields(Exchange)]))
        con.register("incoming", new)
        con.execute(f"INSERT INTO reread BY NAME SELECT i.*, {_differs()} AS changed {_PAIRS}")
        self._changes.append(_changes(con))
        con.unregister("stored")
        con.unregister("incoming")

    def _assembled(self, row: dict[str, Any]) -> Records | None:
        try:
            return assemble(unposted(row), self._book)
        except Exception:
            _log.warning("exchange %s cannot be read again", row["exchange_id"], exc_info=True)
            self._failed += 1
            return None

    def _fitting(self, records: list[Records]) -> list[Records]:
        """Those that the store would take; the others stay as they are."""
        refused: set[int] = set()

        def keep(number: int, why: str) -> Records:
            _log.warning("exchange %s: %s", records[number].exchange.exchange_id, why)
            refused.add(number)
            return records[number]

        rows.fitting(records, keep)
        self._failed += len(refused)
        return [record for number, record in enumerate(records) if number not in refused]


_PAIRS = "FROM incoming i JOIN stored s USING (exchange_id)"


def _differs(*columns: str) -> str:
    names = columns or DERIVED
    return " OR ".join(f"(i.{name} IS DISTINCT FROM s.{name})" for name in names)


def _billed_once(
    con: duckdb.DuckDBPyConnection, records: list[Records], stored: pa.Table
) -> list[Records]:
    """As when posting: an answer that is fetched again bills nothing if another exchange did.

    The store forgets after a while what was billed: then a fetch that has no usage gets none.
    """
    answers = [r for r in records if r.response_id is not None]
    if not answers:
        return records
    billers = rows.billers(con, [str(r.response_id) for r in answers], _BILLED)
    usage = zip(
        *(stored[name].to_pylist() for name in ("exchange_id", "usage_source")), strict=True
    )
    had_none = {exchange_id for exchange_id, source in usage if source is None}
    oldest = _one(con, "SELECT now()") - timedelta(days=rows.BILLED_DAYS)
    kept, new = [], []
    for record in records:
        row, answer = record.exchange, record.response_id
        if answer is not None:
            forgotten = row.started_at < oldest and row.exchange_id in had_none
            biller = billers.get(answer)
            if record.fetched and (biller or forgotten) and biller != row.exchange_id:
                record = rows.unbilled(record)
            elif biller is None:
                billers[answer] = row.exchange_id
                new.append(record)
        kept.append(record)
    rows.remember_billed(con, new, table="newly_billed")
    return kept


def _changes(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """What changed between `stored` and `incoming`, a row per model and column."""
    each = ", ".join(
        f"{{'column': '{name}', 'changed': {_differs(name)}, 'filled': s.{name} IS NULL, "
        f"'emptied': i.{name} IS NULL}}"
        for name in DERIVED
    )
    sql = f"""SELECT model, found.column, count(*) AS exchanges,
        count(*) FILTER (found.filled) AS filled, count(*) FILTER (found.emptied) AS emptied
        FROM (SELECT coalesce(i.response_model, i.request_model) AS model,
            unnest([{each}]) AS found {_PAIRS})
        WHERE found.changed GROUP BY ALL"""
    return cast(pl.DataFrame, pl.from_arrow(con.sql(sql).to_arrow_table()))


def _summed(changes: list[pl.DataFrame]) -> pl.DataFrame:
    if not changes:
        return _NO_CHANGE
    order = pl.col("column").replace_strict({name: n for n, name in enumerate(DERIVED)})
    return (
        pl.concat(changes)
        .group_by("model", "column")
        .agg(pl.col("exchanges", "filled", "emptied").sum())
        .sort(pl.col("model"), order, nulls_last=True)
    )


def _save(con: duckdb.DuckDBPyConnection) -> None:
    """What changed, and by which version everything was read."""
    assignments = ", ".join(f"{name} = reread.{name}" for name in (*DERIVED, "parser_version"))
    con.execute(
        f"UPDATE exchanges SET {assignments} FROM reread "
        "WHERE reread.changed AND exchanges.exchange_id = reread.exchange_id"
    )
    con.execute(
        f"""UPDATE exchanges SET parser_version = {PARSER_VERSION} FROM reread
        WHERE NOT reread.changed AND exchanges.exchange_id = reread.exchange_id
        AND exchanges.parser_version IS DISTINCT FROM {PARSER_VERSION}"""
    )
    con.execute("INSERT INTO billed_responses BY NAME SELECT * FROM newly_billed")
    hours.forget(con)


def _one(con: duckdb.DuckDBPyConnection, sql: str, given: Any = None) -> Any:
    ((value,),) = con.execute(sql, given).fetchall()
    return value
