"""The window at a glance, beside the window before.

Owns the figures that stand for all selected exchanges together.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics.queries import (
    IS_ERROR,
    NOT_FULLY_PRICED,
    WITHOUT_USAGE,
    Selection,
    condition,
    frame,
    sampled,
)

_SUMS = f"""count(*) AS exchanges,
    count(*) FILTER ({IS_ERROR}) AS errors,
    sum(cost_usd) AS cost_usd,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
    count(DISTINCT user_id) AS users,
    count(DISTINCT feature) AS features,
    count(*) FILTER ({NOT_FULLY_PRICED}) AS not_fully_priced,
    count(*) FILTER (cost_status = 'estimated') AS estimated,
    count(*) FILTER ({WITHOUT_USAGE}) AS without_usage,
    min(started_at) AS first_at,
    max(started_at) AS last_at"""


def overview(
    con: duckdb.DuckDBPyConnection, selection: Selection, earlier: Selection | None = None
) -> pl.DataFrame:
    """A row for the selection and, where one is given, a row for an `earlier` one.

    Columns: `window` "this" or "before"; `exchanges`, `errors`; `cost_usd` Decimal, the known
    costs; `input_tokens`, `output_tokens`, `cache_read_tokens`; `users`, `features`, how many
    different ones; `not_fully_priced`, `estimated`, `without_usage` as in `spend`; `first_at`,
    `last_at`; `error_share` of the exchanges; `p50_seconds`, `p95_seconds` of the whole duration,
    and `p50_first_chunk_seconds` (see analytics.queries.sampled).
    """
    rows = [_row(con, selection, "this")]
    if earlier is not None:
        rows.append(_row(con, earlier, "before"))
    return pl.concat(rows)


def _row(con: duckdb.DuckDBPyConnection, selection: Selection, window: str) -> pl.DataFrame:
    where, parameters = condition(selection)
    sums = frame(con, f"SELECT {_SUMS} FROM exchanges WHERE {where}", parameters)
    few, given = sampled(con, where, parameters)
    durations = frame(
        con,
        "SELECT quantile_cont(duration_seconds, 0.5) AS p50_seconds, "
        "quantile_cont(duration_seconds, 0.95) AS p95_seconds, "
        "quantile_cont(time_to_first_chunk_seconds, 0.5) AS p50_first_chunk_seconds "
        f"FROM exchanges WHERE {few}",
        given,
    )
    share = pl.when(pl.col("exchanges") > 0).then(pl.col("errors") / pl.col("exchanges"))
    return sums.hstack(durations).select(
        pl.lit(window).alias("window"),
        pl.exclude("p50_seconds", "p95_seconds", "p50_first_chunk_seconds"),
        share.alias("error_share"),
        *("p50_seconds", "p95_seconds", "p50_first_chunk_seconds"),
    )
