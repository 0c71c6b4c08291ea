"""Prices applied again to what is stored.

Owns which rows get a new cost: those that were priced, or could not be, from the usage in their
columns, at the prices of the time they started. Refuses to take anything away: what the provider
reported stays, and a cost never becomes unpriced. Doing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import duckdb
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]

from analytics import hours, store
from analytics.prices import Cost, PriceBook
from analytics.usage_columns import COLUMNS, from_columns

CHUNK_ROWS = 20_000
_COSTS = ("cost_usd", "input_cost_usd", "output_cost_usd", "cost_status", "price_ref")
_READ = (
    "exchange_id",
    "started_at",
    "provider",
    "operation",
    "request_model",
    "response_model",
    "service_tier",
    "usage_source",
    "usage_detail",
    "usage_raw",
    "provider_cost_usd",
    *COLUMNS,
    *_COSTS,
)
_MONEY = pa.decimal128(18, 12)
_CHANGED = pa.schema(
    [
        ("exchange_id", pa.string()),
        ("model", pa.string()),
        ("old_status", pa.string()),
        ("old_cost_usd", _MONEY),
        ("cost_usd", _MONEY),
        ("input_cost_usd", _MONEY),
        ("output_cost_usd", _MONEY),
        ("cost_status", pa.string()),
        ("price_ref", pa.string()),
    ]
)
_SUMMARY = """SELECT model, old_status, cost_status AS new_status, count(*) AS exchanges,
    sum(old_cost_usd) AS old_cost_usd, sum(cost_usd) AS new_cost_usd
FROM changed GROUP BY ALL ORDER BY model, old_status, new_status"""

Progress = Callable[[int, int], None]


def reprice(
    path: Path,
    book: PriceBook,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    model: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    wait_seconds: float = 30.0,
) -> pl.DataFrame:
    """Recompute costs, in one transaction; what changed, a row per model and change of status.

    Columns: `model`, `old_status`, `new_status`, `exchanges`, `old_cost_usd`, `new_cost_usd`.
    `since` is included, `until` is not; `model` is that of the answer, or the one asked for.
    `progress` is called with the rows looked at and all there are. Raises StoreError; on any
    error nothing has changed.
    """
    if not path.exists():
        raise store.StoreMissing(f"{path} does not exist yet: no exchange has been posted.")
    opening = store.read if dry_run else store.write
    with opening(path, wait_seconds=wait_seconds) as con:
        con.begin()
        total, rows = _stored(con, since, until, model)
        changes = list(_changes(total, rows, book, progress))
        changed = pa.Table.from_pylist(changes, schema=_CHANGED)
        con.register("changed", changed)
        summary = cast(pl.DataFrame, pl.from_arrow(con.sql(_SUMMARY).to_arrow_table()))
        if changed.num_rows and not dry_run:
            _update(con)
        con.unregister("changed")
        con.commit()
    return summary


def _stored(
    con: duckdb.DuckDBPyConnection,
    since: datetime | None,
    until: datetime | None,
    model: str | None,
) -> tuple[int, Iterator[pa.RecordBatch]]:
    """How many rows there are, and the rows in pieces."""
    limits = """FROM exchanges
        WHERE cost_status IS NOT NULL
        AND (CAST($since AS TIMESTAMPTZ) IS NULL OR started_at >= $since)
        AND (CAST($until AS TIMESTAMPTZ) IS NULL OR started_at < $until)
        AND (CAST($model AS VARCHAR) IS NULL OR coalesce(response_model, request_model) = $model)"""
    given = {"since": since, "until": until, "model": model}
    ((total,),) = con.execute(f"SELECT count(*) {limits}", given).fetchall()
    columns = ", ".join(_READ).replace("exchange_id", "CAST(exchange_id AS VARCHAR) AS exchange_id")
    rows = con.sql(f"SELECT {columns} {limits}", params=given).to_arrow_reader(CHUNK_ROWS)
    return int(total), rows


def _changes(
    total: int, batches: Iterator[pa.RecordBatch], book: PriceBook, progress: Progress | None
) -> Iterator[dict[str, Any]]:
    done = 0
    for batch in batches:
        for row in batch.to_pylist():
            new = _priced(row, book)
            if _is_better(row, new):
                yield {
                    "exchange_id": row["exchange_id"],
                    "model": row["response_model"] or row["request_model"],
                    "old_status": row["cost_status"],
                    "old_cost_usd": row["cost_usd"],
                    **{name: getattr(new, name) for name in _COSTS},
                }
        done += batch.num_rows
        if progress is not None:
            progress(done, total)


def _priced(row: dict[str, Any], book: PriceBook) -> Cost:
    return book.cost(
        provider=row["provider"] or "",
        request_model=row["request_model"],
        response_model=row["response_model"],
        usage=from_columns(row),
        usage_source=row["usage_source"],
        service_tier=row["service_tier"],
        operation=row["operation"],
        started_at=row["started_at"],
    )


def _is_better(row: dict[str, Any], new: Cost) -> bool:
    """Whether the new cost differs and takes nothing away."""
    if row["cost_status"] == "provider_reported" or new.cost_status is None:
        return False
    if row["cost_usd"] is not None and new.cost_usd is None:
        return False
    return any(_plain(row[name]) != _plain(getattr(new, name)) for name in _COSTS)


def _plain(value: Any) -> Any:
    return value.normalize() if isinstance(value, Decimal) else value


def _update(con: duckdb.DuckDBPyConnection) -> None:
    assignments = ", ".join(f"{name} = changed.{name}" for name in _COSTS)
    con.execute(
        f"UPDATE exchanges SET {assignments} FROM changed "
        "WHERE exchanges.exchange_id = CAST(changed.exchange_id AS UUID)"
    )
    hours.forget(con)
