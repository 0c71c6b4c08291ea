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
    frame,
)
from analytics.selected import sampled, summed

_SUMS = f"""coalesce(sum(exchanges), 0)::BIGINT AS exchanges,
    coalesce(sum(exchanges) FILTER ({IS_ERROR}), 0)::BIGINT AS errors,
    sum(cost_usd) AS cost_usd,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
    count(DISTINCT user_id) AS users,
    count(DISTINCT feature) AS features,
    coalesce(sum(exchanges) FILTER ({NOT_FULLY_PRICED}), 0)::BIGINT AS not_fully_priced,
    coalesce(sum(exchanges) FILTER (cost_status = 'estimated'), 0)::BIGINT AS estimated,
    coalesce(sum(exchanges) FILTER ({WITHOUT_USAGE}), 0)::BIGINT AS without_usage,
    min(first_at) AS first_at,
    max(last_at) AS last_at"""


def overview(
    con: duckdb.DuckDBPyConnection, selection: Selection, earlier: Selection | None = None
) -> pl.DataFrame:
    """A row for the selection and, where one is given, a row for an `earlier` one.

    Columns: `window` "this" or "before"; `exchanges`, `errors`; `cost_usd` Decimal, the known
    costs; `input_tokens`, `output_tokens`, `cache_read_tokens`; `users`, `features`, how many
    different ones; `not_fully_priced`, `estimated`, `without_usage` as in `spend`; `first_at`,
    `last_at`; `error_share` of the exchanges; `p50_seconds`, `p95_seconds` of the whole duration,
    and `p50_first_chunk_seconds` (see analytics.selected.sampled).
    """
    rows = [_row(con, selection, "this")]
    if earlier is not None:
        rows.append(_row(con, earlier, "before"))
    return pl.concat(rows)


def _row(con: duckdb.DuckDBPyConnection, selection: Selection, window: str) -> pl.DataFrame:
    source, parameters = summed(con, selection)
    sums = frame(con, f"SELECT {_SUMS} FROM {source}", parameters)
    few, given = sampled(con, selection)
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
