"""What cost how much: the exchanges of a window, by one dimension.

Owns the ranking, the remainder and the total. Sums leave out what is unknown, and a count beside
them says how many exchanges that concerns.
"""

from __future__ import annotations

from typing import Literal

import duckdb
import polars as pl

from analytics.queries import IS_ERROR, Selection, condition, dimension

Sort = Literal["cost", "exchanges", "tokens"]

_ORDER: dict[str, str] = {
    "cost": "cost_usd DESC NULLS LAST, exchanges DESC",
    "exchanges": "exchanges DESC, cost_usd DESC NULLS LAST",
    "tokens": "coalesce(input_tokens, 0) + coalesce(output_tokens, 0) DESC, exchanges DESC",
}
_SUMS = f"""
    count(*) AS exchanges,
    count(*) FILTER ({IS_ERROR}) AS errors,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cost_usd) AS cost_usd"""
_DETAILS = """,
    quantile_cont(duration_seconds, 0.5) AS p50_seconds,
    quantile_cont(duration_seconds, 0.95) AS p95_seconds,
    count(*) FILTER (cost_status IN ('unpriced', 'partial')) AS not_fully_priced,
    count(*) FILTER (cost_status = 'estimated') AS estimated,
    count(*) FILTER (usage_source IS NULL AND (cost_status = 'unpriced' OR unfinished))
        AS without_usage"""
# Exchanges that broke off after something may have reached the provider (see proxy/failures.py).
_UNFINISHED = """outcome IN ('upstream_failed', 'timed_out', 'client_disconnected', 'interrupted')
        AND coalesce(error_type, '') NOT IN
            ('connect_timeout', 'connect_failed', 'dns_failed', 'bad_tls')"""


def spend(
    con: duckdb.DuckDBPyConnection,
    by: str,
    selection: Selection,
    *,
    limit: int = 10,
    sort: Sort = "cost",
) -> pl.DataFrame:
    """The `limit` largest groups, then the rest of them, then the total.

    `by` is a dimension (analytics.queries.DIMENSIONS or `tag:NAME`). Columns:

    - `part` "group", "rest" or "total"; `name` of the group, null where exchanges have none;
      `groups`, how many the row covers
    - `exchanges`, `errors` (neither completed nor answered from a cache)
    - `input_tokens`, `output_tokens`: known ones, null where none is
    - `cost_usd` Decimal, the known costs; `cost_share` of the known costs of all, 0 to 1
    - `p50_seconds`, `p95_seconds`: the whole duration
    - `not_fully_priced` (cost is missing or a lower bound), `estimated` (cost rests on estimated
      tokens), `without_usage` (it may have cost something, and nobody said how much was used)

    The total is there even where no exchange is. Raises UnknownDimension.
    """
    expression, given = dimension(by)
    where, parameters = condition(selection)
    table = con.sql(
        f"""
WITH chosen AS (
    SELECT CAST({expression} AS VARCHAR) AS name, {_UNFINISHED} AS unfinished,
        outcome, input_tokens, output_tokens, cost_usd, cost_status, duration_seconds, usage_source
    FROM exchanges WHERE {where}
),
ranked AS (
    SELECT name, row_number() OVER (ORDER BY {_ORDER[sort]}, name NULLS LAST) AS rank
    FROM (SELECT name, {_SUMS} FROM chosen GROUP BY name)
),
placed AS (
    SELECT chosen.*, rank, least(rank, ?) AS place
    FROM chosen JOIN ranked ON chosen.name IS NOT DISTINCT FROM ranked.name
)
SELECT place, any_value(name) AS name, max(rank) AS last_rank, {_SUMS} {_DETAILS}
FROM placed GROUP BY GROUPING SETS ((place), ()) ORDER BY place NULLS LAST""",
        params=[*given, *parameters, limit + 1],
    ).to_arrow_table()
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return _finished(frame, limit)


def _finished(frame: pl.DataFrame, limit: int) -> pl.DataFrame:
    place = pl.col("place")
    part = (
        pl.when(place.is_null())
        .then(pl.lit("total"))
        .when(place > limit)
        .then(pl.lit("rest"))
        .otherwise(pl.lit("group"))
    )
    last = pl.col("last_rank").fill_null(0)
    groups = (
        pl.when(part == "group").then(1).when(part == "rest").then(last - limit).otherwise(last)
    )
    whole = frame["cost_usd"][-1]
    share = (
        pl.col("cost_usd").cast(pl.Float64) / float(whole) if whole else pl.lit(None, pl.Float64)
    )
    return frame.select(
        part.alias("part"),
        pl.when(part == "group").then("name").alias("name"),
        groups.alias("groups"),
        "exchanges",
        "errors",
        "input_tokens",
        "output_tokens",
        "cost_usd",
        share.alias("cost_share"),
        "p50_seconds",
        "p95_seconds",
        "not_fully_priced",
        "estimated",
        "without_usage",
    )
