"""Who uses it, and what for: first seen, last seen, and the trend against the window before.

Owns the comparison of two windows group by group. Made for users and features; any dimension will
do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import duckdb
import polars as pl

from analytics.queries import (
    IS_ERROR,
    NOT_FULLY_PRICED,
    Selection,
    dimension,
    frame,
)
from analytics.selected import summed
from analytics.windows import Window

Sort = Literal["cost", "exchanges", "change", "latest"]
_ORDER: dict[str, str] = {
    "cost": "cost_usd DESC NULLS LAST, exchanges DESC",
    "exchanges": "exchanges DESC, cost_usd DESC NULLS LAST",
    "change": "abs(coalesce(cost_usd, 0) - coalesce(cost_usd_before, 0)) DESC, exchanges DESC",
    "latest": "last_at DESC",
}


def people(
    con: duckdb.DuckDBPyConnection,
    by: str,
    selection: Selection,
    earlier: Selection | None = None,
    *,
    limit: int = 50,
    sort: Sort = "cost",
) -> pl.DataFrame:
    """The `limit` first groups that the selection's window or the earlier one has seen.

    `by` is a dimension; of `earlier` (see analytics.queries.before) only the window counts, the
    filters are those of the selection. Columns:

    - `name`, null for exchanges without one
    - `first_at`, `last_at`: of all exchanges that the filters let through, in any window
    - `state`: "new" (first seen in this window), "gone" (in the earlier window only), else "known"
    - `exchanges`, `errors`, `input_tokens`, `output_tokens`, `cost_usd` Decimal,
      `not_fully_priced`: in this window; where it has no exchange of a group, 0
    - `cost_share`: part of the known costs of all groups in this window, 0 to 1
    - `exchanges_before`, `cost_usd_before`: in the earlier window; null without one
    - `cost_change_usd` Decimal; `cost_change`, as a part of the costs before (0.5: half as much
      again), null where those are 0 or unknown; `exchanges_change`, likewise

    Raises UnknownDimension.
    """
    expression, given = dimension(by)
    ever, of_ever = summed(con, replace(selection, window=Window()), by)
    inside, of_inside = summed(con, selection, by)
    prior, of_prior = summed(con, replace(selection, window=(earlier or selection).window), by)
    found = frame(
        con,
        f"""
WITH ever AS (
    SELECT {expression} AS name, min(first_at) AS first_at, max(last_at) AS last_at
    FROM {ever} GROUP BY ALL
),
inside AS (
    SELECT {expression} AS name, sum(exchanges) AS exchanges,
        sum(exchanges) FILTER ({IS_ERROR}) AS errors,
        sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens,
        sum(cost_usd) AS cost_usd, sum(exchanges) FILTER ({NOT_FULLY_PRICED}) AS not_fully_priced
    FROM {inside} GROUP BY ALL
),
prior AS (
    SELECT {expression} AS name, sum(exchanges) AS exchanges_before,
        sum(cost_usd) AS cost_usd_before
    FROM {prior} WHERE ? GROUP BY ALL
),
groups AS (
    SELECT ever.name AS name, first_at, last_at,
        coalesce(exchanges, 0)::BIGINT AS exchanges, coalesce(errors, 0)::BIGINT AS errors,
        input_tokens, output_tokens, cost_usd,
        coalesce(not_fully_priced, 0)::BIGINT AS not_fully_priced,
        coalesce(exchanges_before, 0)::BIGINT AS exchanges_before, cost_usd_before
    FROM ever LEFT JOIN inside ON ever.name IS NOT DISTINCT FROM inside.name
        LEFT JOIN prior ON ever.name IS NOT DISTINCT FROM prior.name
)
SELECT *, sum(cost_usd) OVER () AS whole FROM groups
WHERE exchanges > 0 OR exchanges_before > 0
ORDER BY {_ORDER[sort]}, name NULLS LAST LIMIT ?""",
        [
            *(*given, *of_ever, *given, *of_inside, *given, *of_prior),
            *(earlier is not None, limit),
        ],
    )
    return _compared(found, selection, is_compared=earlier is not None)


def _compared(found: pl.DataFrame, selection: Selection, *, is_compared: bool) -> pl.DataFrame:
    since = selection.window.since
    none_here = pl.col("exchanges") == 0
    is_new = pl.lit(True) if since is None else pl.col("first_at") >= since
    state = pl.when(none_here).then(pl.lit("gone")).when(is_new).then(pl.lit("new"))
    columns = [
        pl.col("name").cast(pl.String),
        state.otherwise(pl.lit("known")).alias("state"),
        *(_none_is_zero(name, none_here) for name in ("input_tokens", "output_tokens", "cost_usd")),
    ]
    none_before = pl.col("exchanges_before") == 0
    before = [
        (pl.col("exchanges_before") if is_compared else pl.lit(None, pl.Int64)).alias(
            "exchanges_before"
        ),
        _none_is_zero("cost_usd_before", none_before)
        if is_compared
        else pl.lit(None, found.schema["cost_usd_before"]).alias("cost_usd_before"),
    ]
    whole = pl.col("whole").cast(pl.Float64)
    share = pl.when(whole != 0).then(pl.col("cost_usd").cast(pl.Float64) / whole)
    return (
        found.with_columns(*columns, *before)
        .with_columns((pl.col("cost_usd") - pl.col("cost_usd_before")).alias("cost_change_usd"))
        .select(
            *("name", "first_at", "last_at", "state", "exchanges", "errors"),
            *("input_tokens", "output_tokens", "cost_usd", "not_fully_priced"),
            share.alias("cost_share"),
            *("exchanges_before", "cost_usd_before", "cost_change_usd"),
            _part("cost_change_usd", "cost_usd_before").alias("cost_change"),
            (_part("exchanges", "exchanges_before") - 1).alias("exchanges_change"),
        )
    )


def _none_is_zero(column: str, none: pl.Expr) -> pl.Expr:
    """Nothing was used where nothing was sent; elsewhere null stays unknown."""
    known = pl.col(column)
    return pl.when(none).then(known.fill_null(0)).otherwise(known).alias(column)


def _part(column: str, of: str) -> pl.Expr:
    whole = pl.col(of).cast(pl.Float64)
    return pl.when(whole != 0).then(pl.col(column).cast(pl.Float64) / whole)
