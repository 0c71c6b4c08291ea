"""Text search in what was said.

Owns which bodies are searched and how. The latest are searched first, and no further than a bound,
as bodies are large; the answer says how far it got. Bodies that were sent compressed are not
searched, as the store keeps them as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import orjson
import polars as pl

from analytics.queries import MODEL, Selection, condition, frame

STEP = 20_000
MOST = 200_000
"""So many exchanges with content are searched at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """`found` has a row for each exchange, latest first: `exchange_id`, `side` ("request",
    "response" or "both"). `searched` exchanges were looked at; `is_whole`: no other is left."""

    found: pl.DataFrame
    searched: int
    is_whole: bool


def search(
    con: duckdb.DuckDBPyConnection, selection: Selection, text: str, *, limit: int = 100
) -> Hits:
    """The exchanges in whose bodies the text occurs, in any case, `limit` of them.

    Only exchanges whose content was kept count. Text is found as it is and as JSON writes it.
    """
    spellings = _spellings(text)
    hits: list[pl.DataFrame] = []
    searched, count = 0, 0
    until: tuple[object, ...] = ()
    while searched < MOST and count < limit:
        step = _step(con, selection, until)
        if step.is_empty():
            return _hits(hits, searched, limit, is_whole=True)
        hits.append(_in(con, step, spellings))
        searched, count = searched + step.height, count + hits[-1].height
        until = step.row(-1)
    return _hits(hits, searched, limit, is_whole=False)


def _spellings(text: str) -> list[str]:
    """The text in lower case, plain and as it stands within JSON (escaped, or ASCII only)."""
    low = text.lower()
    escaped = orjson.dumps(low).decode()[1:-1]
    ascii_only = low.encode("ascii", "backslashreplace").decode().replace("\\x", "\\u00")
    return list(dict.fromkeys((low, escaped, ascii_only)))


def _step(
    con: duckdb.DuckDBPyConnection, selection: Selection, until: tuple[object, ...]
) -> pl.DataFrame:
    """The exchanges before `until` (id and time) that have content, latest first."""
    where, parameters = condition(selection)
    if until:
        where = f"{where} AND (started_at, exchanges.exchange_id) < (?, CAST(? AS UUID))"
        parameters = [*parameters, until[1], until[0]]
    return frame(
        con,
        f"""
SELECT exchanges.exchange_id::VARCHAR AS exchange_id, exchanges.started_at
FROM exchanges SEMI JOIN contents ON exchanges.exchange_id = contents.exchange_id
WHERE {where} ORDER BY exchanges.started_at DESC, exchanges.exchange_id DESC LIMIT {STEP}""",
        parameters,
    )


def _in(con: duckdb.DuckDBPyConnection, step: pl.DataFrame, spellings: list[str]) -> pl.DataFrame:
    first, last = step["started_at"].min(), step["started_at"].max()
    tests = " OR ".join(["contains({0}, ?)"] * len(spellings))
    request, response = tests.format("asked"), tests.format("answered")
    con.register("step_ids", step.select("exchange_id").to_arrow())
    try:
        return frame(
            con,
            f"""
WITH said AS (
    SELECT exchange_id, started_at, lower(TRY(decode(request_body))) AS asked,
        lower(TRY(decode(response_body))) AS answered
    FROM contents SEMI JOIN step_ids ON contents.exchange_id::VARCHAR = step_ids.exchange_id
    WHERE started_at BETWEEN ? AND ?
),
marked AS (
    SELECT *, coalesce({request}, false) AS in_request, coalesce({response}, false) AS in_response
    FROM said
)
SELECT exchange_id::VARCHAR AS exchange_id, CASE WHEN in_request AND in_response THEN 'both'
    WHEN in_request THEN 'request' ELSE 'response' END AS side
FROM marked WHERE in_request OR in_response ORDER BY started_at DESC, exchange_id DESC""",
            [first, last, *spellings, *spellings],
        )
    finally:
        con.unregister("step_ids")


def _hits(parts: list[pl.DataFrame], searched: int, limit: int, *, is_whole: bool) -> Hits:
    empty = pl.DataFrame(schema={"exchange_id": pl.String, "side": pl.String})
    found = pl.concat([empty, *parts])
    return Hits(
        found=found.head(limit), searched=searched, is_whole=is_whole and found.height <= limit
    )


def listed(con: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> pl.DataFrame:
    """The exchanges with these ids, in their order, as a list shows them.

    Columns: `exchange_id`, `started_at`, `feature`, `model`, `user_id`, `session_id`, `cost_usd`
    Decimal, `duration_seconds`, `input_tokens`, `output_tokens`, `status`, `outcome`, `error_type`.
    """
    return frame(
        con,
        f"""
WITH wanted AS (SELECT unnest(?::UUID[]) AS id, generate_subscripts(?::UUID[], 1) AS place)
SELECT exchange_id::VARCHAR AS exchange_id, started_at, feature, {MODEL} AS model, user_id,
    session_id, cost_usd, duration_seconds, input_tokens, output_tokens, status, outcome, error_type
FROM exchanges JOIN wanted ON exchange_id = id ORDER BY place""",
        [list(ids), list(ids)],
    )
