"""Sessions: conversations and agent runs, what each took and cost.

Owns the list. One session in its steps is analytics/queries/session.py.
"""

from __future__ import annotations

from typing import Any, Literal

import duckdb
import polars as pl

from analytics.queries import IS_ERROR, MODEL, NOT_FULLY_PRICED, Selection, condition, frame

Sort = Literal["latest", "cost", "exchanges", "errors"]
_RANK: dict[str, str] = {
    "latest": "max(started_at) DESC",
    "cost": "sum(cost_usd) DESC NULLS LAST, count(*) DESC",
    "exchanges": "count(*) DESC",
    "errors": f"count(*) FILTER ({IS_ERROR}) DESC, count(*) DESC",
}

_EACH = 100
"""So many exchanges for each session wanted are looked at for the latest."""


def sessions(
    con: duckdb.DuckDBPyConnection,
    selection: Selection,
    *,
    limit: int = 50,
    sort: Sort = "latest",
) -> pl.DataFrame:
    """The `limit` first sessions of the selected exchanges; exchanges without one are left out.

    What a session did outside the selection does not count. Columns:

    - `session_id`; `user_id`, `feature`: those of its first exchange
    - `started_at`, `ended_at` (UTC), `seconds` between them, pauses included
    - `exchanges`, `errors`, `models` (their names, in order), `tool_calls`, `traces` (how many)
    - `input_tokens`, `output_tokens`, `cost_usd` Decimal: known ones; `not_fully_priced`
    """
    where, parameters = condition(selection)
    where = f"session_id IS NOT NULL AND {where}"
    first = _first(con, where, parameters, limit, sort)
    found = frame(
        con,
        f"""
WITH first AS (SELECT unnest(?::VARCHAR[]) AS id, unnest(range({len(first)})) AS rank)
SELECT session_id,
    arg_min_null(user_id, (started_at, rowid)) AS user_id,
    arg_min_null(feature, (started_at, rowid)) AS feature,
    min(started_at) AS started_at,
    make_timestamptz(max(epoch_us(started_at)
        + CAST(coalesce(duration_seconds, 0) * 1e6 AS BIGINT))) AS ended_at,
    count(*) AS exchanges,
    count(*) FILTER ({IS_ERROR}) AS errors,
    list_sort(list(DISTINCT {MODEL}) FILTER ({MODEL} IS NOT NULL)) AS models,
    sum(tool_call_count)::BIGINT AS tool_calls,
    count(DISTINCT trace_id) AS traces,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cost_usd) AS cost_usd,
    count(*) FILTER ({NOT_FULLY_PRICED}) AS not_fully_priced
FROM exchanges JOIN first ON session_id = id WHERE {where}
GROUP BY session_id, rank ORDER BY rank""",
        [first, *parameters],
    )
    length = (pl.col("ended_at") - pl.col("started_at")).dt.total_microseconds() / 1e6
    after = found.columns.index("ended_at") + 1
    return found.insert_column(after, found.select(length.alias("seconds")).to_series())


def _first(
    con: duckdb.DuckDBPyConnection, where: str, parameters: list[Any], limit: int, sort: Sort
) -> list[str]:
    """In order. The latest are known from the latest exchanges, where these have enough."""
    ranked = f"""SELECT session_id FROM {{source}}
        GROUP BY session_id ORDER BY {_RANK[sort]}, session_id LIMIT {limit}"""
    if sort == "latest":
        newest = f"""(SELECT session_id, started_at FROM exchanges WHERE {where}
            ORDER BY started_at DESC LIMIT {limit * _EACH})"""
        found = frame(con, ranked.format(source=newest), parameters)["session_id"].to_list()
        if len(found) == limit:
            return found
    source = f"exchanges WHERE {where}"
    return frame(con, ranked.format(source=source), parameters)["session_id"].to_list()
