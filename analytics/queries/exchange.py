"""One exchange: found by its id or a part of it, with everything that belongs to it.

Owns the search and the joining. Refuses to interpret bodies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl

SHORTEST_PART = 4
_PART = re.compile(r"[0-9a-f]{4,32}")


class BadId(ValueError):
    """The text can be no part of an exchange's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """An exchange's row, and the rows that belong to it; `content` None where none was kept."""

    exchange: dict[str, Any]
    attempts: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    content: dict[str, Any] | None


def digits(text: str) -> str:
    """The hexadecimal digits of an id or of its beginning or end. Raises BadId."""
    found = text.strip().lower().replace("-", "").lstrip("…")
    if not _PART.fullmatch(found):
        raise BadId(
            f"{text!r} is no exchange id: give it whole, or at least {SHORTEST_PART} digits of its "
            "beginning or end."
        )
    return found


def candidates(con: duckdb.DuckDBPyConnection, part: str, *, limit: int = 10) -> pl.DataFrame:
    """The exchanges whose id begins or ends with `part` (from `digits`), latest first.

    Columns: `exchange_id`, `started_at`, `provider`, `model`, `feature`. `limit` at most.
    """
    if len(part) == 32:
        where, parameters = "exchange_id = CAST(? AS UUID)", [part]
    else:
        text = "replace(CAST(exchange_id AS VARCHAR), '-', '')"
        where, parameters = f"starts_with({text}, ?) OR ends_with({text}, ?)", [part, part]
    table = con.sql(
        "SELECT CAST(exchange_id AS VARCHAR) AS exchange_id, started_at, provider, "
        "coalesce(response_model, request_model) AS model, feature "
        f"FROM exchanges WHERE {where} ORDER BY started_at DESC, exchange_id LIMIT ?",
        params=[*parameters, limit],
    ).to_arrow_table()
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def whole(con: duckdb.DuckDBPyConnection, exchange_id: str) -> Whole:
    """All that is stored of an exchange that is there."""
    row = _rows(con, "exchanges", exchange_id)[0]
    content = _rows(con, "contents", exchange_id)
    return Whole(
        exchange=row,
        attempts=sorted(_rows(con, "attempts", exchange_id), key=lambda each: each["number"]),
        decisions=sorted(_rows(con, "decisions", exchange_id), key=lambda each: each["number"]),
        content=content[0] if content else None,
    )


def _rows(con: duckdb.DuckDBPyConnection, table: str, exchange_id: str) -> list[dict[str, Any]]:
    con.execute(f"SELECT * FROM {table} WHERE exchange_id = CAST(? AS UUID)", [exchange_id])
    names = [column[0] for column in con.description or ()]
    return [dict(zip(names, row, strict=True)) for row in con.fetchall()]
