"""Stored contents read again with the reading code of today.

Owns which columns that may change (what a dialect, an estimate or the price book gives) and the
transaction in which they do. The result is what posting anew would give. Refuses to touch rows
without contents (but for estimates that another exchange's usage takes the place of), what the
relay measured, and what was billed by another exchange.
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

from analytics import billed_answers, hours, rows, store
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
_NOTED = "(FROM billed_responses UNION ALL FROM newly_billed)"

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
        for name in ("reread", "newly_billed", "taken_back"):
            con.execute(f"DROP TABLE {name}")
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

    def run(self) -> Reparsed:
        con = self._con
        con.execute("CREATE TEMP TABLE reread AS SELECT *, true AS changed FROM exchanges LIMIT 0")
        con.execute("CREATE TEMP TABLE newly_billed AS SELECT * FROM billed_responses LIMIT 0")
        con.execute("CREATE TEMP TABLE taken_back (exchange_id UUID)")
        total, without_contents = counts(con, self._which)
        done = 0
        for chunk in chunks(con, self._which):
            self._read(chunk)
            done += len(chunk)
            if self._progress is not None:
                self._progress(done, total)
        _take_back(con)
        return Reparsed(
            read=total - self._failed,
            changed=_one(con, "SELECT count(*) FROM reread WHERE changed"),
            failed=self._failed,
            without_contents=without_contents,
            changes=_changes(con),
        )

    def _read(self, exchange_ids: list[str]) -> None:
        con = self._con
        stored = rows_with_contents(con, exchange_ids)
        assembled = [record for row in stored.to_pylist() if (record := self._assembled(row))]
        records = _billed_once(con, self._fitting(assembled), stored)
        new = arrow_table(Exchange, [record.exchange for record in records])
        con.register("stored", stored.select([f.name for f in fields(Exchange)]))
        con.register("incoming", new)
        con.execute(
            f"INSERT INTO reread BY NAME SELECT i.*, {_differs()} AS changed "
            "FROM incoming i JOIN stored s USING (exchange_id)"
        )
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


def _differs(*columns: str) -> str:
    names = columns or DERIVED
    return " OR ".join(f"(i.{name} IS DISTINCT FROM s.{name})" for name in names)


def _billed_once(
    con: duckdb.DuckDBPyConnection, records: list[Records], stored: pa.Table
) -> list[Records]:
    """As when posting: each answer is billed once.

    The store forgets after a while who bears it: then what had no usage gets none, unless the
    provider told it where the answer was made.
    """
    answers = [str(r.response_id) for r in records if r.response_id is not None]
    if not answers:
        return records
    known = billed_answers.bearers(con, answers, noted=_NOTED, tables=("reread", "exchanges"))
    usage = zip(
        *(stored[name].to_pylist() for name in ("exchange_id", "usage_source")), strict=True
    )
    had_none = {exchange_id for exchange_id, source in usage if source is None}
    oldest = _one(con, "SELECT now()") - timedelta(days=billed_answers.BILLED_DAYS)

    def is_forgotten(record: Records) -> bool:
        row, mine = record.exchange, billed_answers.bearer(record)
        had_it = row.started_at >= oldest or row.exchange_id not in had_none
        if had_it or record.response_id is None or record.response_id in settling.known:
            return False
        return mine.fetched or not mine.told

    settling = billed_answers.Settling(known)
    kept = [
        billed_answers.unbilled(record) if is_forgotten(record) else settling.settle(record)
        for record in records
    ]
    billed_answers.remember_billed(con, settling.new, table="newly_billed")
    con.execute("INSERT INTO taken_back SELECT CAST(unnest(?) AS UUID)", [settling.taken_back])
    return kept


def _take_back(con: duckdb.DuckDBPyConnection) -> None:
    """What another exchange bears since: in rows that were read again, and in others."""
    con.execute(
        "INSERT INTO reread BY NAME SELECT *, true AS changed FROM exchanges "
        "SEMI JOIN taken_back USING (exchange_id) ANTI JOIN reread USING (exchange_id)"
    )
    con.execute(
        f"UPDATE reread SET {billed_answers.TAKEN_BACK} "
        "WHERE exchange_id IN (SELECT exchange_id FROM taken_back)"
    )
    con.execute(
        f"UPDATE reread AS i SET changed = {_differs()} FROM exchanges s "
        "WHERE i.exchange_id = s.exchange_id "
        "AND i.exchange_id IN (SELECT exchange_id FROM taken_back)"
    )


def _changes(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """What changed between `exchanges` and `reread`, a row per model and column."""
    each = ", ".join(
        f"{{'column': '{name}', 'changed': {_differs(name)}, 'filled': s.{name} IS NULL, "
        f"'emptied': i.{name} IS NULL}}"
        for name in DERIVED
    )
    sql = f"""SELECT model, found.column, count(*) AS exchanges,
        count(*) FILTER (found.filled) AS filled, count(*) FILTER (found.emptied) AS emptied
        FROM (SELECT coalesce(i.response_model, i.request_model) AS model,
            unnest([{each}]) AS found
            FROM reread i JOIN exchanges s USING (exchange_id) WHERE i.changed)
        WHERE found.changed GROUP BY ALL"""
    order = pl.col("column").replace_strict({name: n for n, name in enumerate(DERIVED)})
    found = cast(pl.DataFrame, pl.from_arrow(con.sql(sql).to_arrow_table()))
    return found.sort(pl.col("model"), order, nulls_last=True)


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
    con.execute(
        "DELETE FROM billed_responses WHERE exchange_id IN (SELECT exchange_id FROM taken_back)"
    )
    hours.forget(con)


def _one(con: duckdb.DuckDBPyConnection, sql: str, given: Any = None) -> Any:
    ((value,),) = con.execute(sql, given).fetchall()
    return value
