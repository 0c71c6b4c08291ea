"""Exchanges themselves, a row each: for lists and for frames of one's own.

Owns the columns and orders that a list can have. Bodies are in analytics/queries/exchange.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import duckdb
import polars as pl

from analytics.queries import MODEL, Selection, condition, frame
from proxy.exchange import Exchange, columns

Sort = Literal["latest", "earliest", "cost", "duration", "tokens"]
_ORDER: dict[str, str] = {
    "latest": "started_at DESC",
    "earliest": "started_at",
    "cost": "cost_usd DESC NULLS LAST",
    "duration": "duration_seconds DESC NULLS LAST",
    "tokens": "coalesce(input_tokens, 0) + coalesce(output_tokens, 0) DESC",
}
KNOWN = (*(column.name for column in columns(Exchange)), "model")
"""The columns of the table, and `model`: the one that answered, else the one asked for."""
USUAL = (
    *("exchange_id", "started_at", "duration_seconds", "time_to_first_chunk_seconds"),
    *("provider", "model", "operation", "stream", "status", "outcome", "error_type"),
    *("input_tokens", "output_tokens", "cache_read_tokens", "usage_source"),
    *("cost_usd", "cost_status", "feature", "user_id", "session_id", "environment"),
)
_AS_TEXT = {"exchange_id", "usage_raw", "usage_detail"}


class UnknownColumn(ValueError):
    """No column has this name; the message names those there are."""


def listing(
    con: duckdb.DuckDBPyConnection,
    selection: Selection,
    *,
    take: Sequence[str] = USUAL,
    sort: Sort = "latest",
    limit: int | None = 100,
    offset: int = 0,
) -> pl.DataFrame:
    """The selected exchanges in an order, `limit` of them (None: all) from `offset` on.

    Columns: those in `take`, of KNOWN, as the table has them; ids and JSON are text, `tags` a map.
    Exchanges that the order leaves equal come by id. Raises UnknownColumn.
    """
    where, parameters = condition(selection)
    wanted = ", ".join(map(_column, take))
    return frame(
        con,
        f"SELECT {wanted} FROM exchanges WHERE {where} "
        f"ORDER BY {_ORDER[sort]}, exchange_id LIMIT ? OFFSET ?",
        [*parameters, limit, offset],
    )


def _column(name: str) -> str:
    if name == "model":
        return f"{MODEL} AS model"
    if name not in KNOWN:
        raise UnknownColumn(f"{name!r}: choose from {', '.join(KNOWN)}.")
    return f"CAST({name} AS VARCHAR) AS {name}" if name in _AS_TEXT else name
