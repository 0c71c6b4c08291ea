"""Everything over time: exchanges, errors, spend, tokens and durations, by bucket and group.

Owns the buckets, their limits in UTC, and that none is missing. Weeks begin on Monday.
"""

from __future__ import annotations

from datetime import datetime, timedelta
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
from analytics.selected import sampled, summed
from analytics.windows import Window

Bucket = Literal["hour", "day", "week", "month"]
Sort = Literal["cost", "exchanges", "errors", "tokens"]

_HOUR, _DAY = 3_600_000_000, 86_400_000_000
_MONDAY = 3
"""1 January 1970 was a Thursday, three days after one."""
_EVERY: dict[str, str] = {"hour": "1h", "day": "1d", "week": "1w", "month": "1mo"}
_ORDER: dict[str, str] = {
    "cost": "sum(cost_usd) DESC NULLS LAST, sum(exchanges) DESC",
    "exchanges": "sum(exchanges) DESC",
    "errors": "sum(errors) DESC, sum(exchanges) DESC",
    "tokens": "sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) DESC",
}
_CELL = f"""sum(exchanges) AS exchanges,
    coalesce(sum(exchanges) FILTER ({IS_ERROR}), 0) AS errors,
    sum(cost_usd) AS cost_usd,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    coalesce(sum(exchanges) FILTER ({NOT_FULLY_PRICED}), 0) AS not_fully_priced"""
_SUMS = """sum(exchanges)::BIGINT AS exchanges,
    sum(errors)::BIGINT AS errors,
    sum(cost_usd) AS cost_usd,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
    sum(not_fully_priced)::BIGINT AS not_fully_priced"""
_SUMMED = (
    *("exchanges", "errors", "cost_usd", "input_tokens", "output_tokens", "cache_read_tokens"),
    "not_fully_priced",
)
MOST_BUCKETS = 20_000


class TooManyBuckets(ValueError):
    """The window has too many buckets of that size; the message says so."""


def bucket_for(window: Window, now: datetime) -> Bucket:
    """The size of bucket in which a window is best looked at."""
    if window.since is None:
        return "day"
    length = min(window.until or now, now) - window.since
    if length <= timedelta(days=3):
        return "hour"
    return "day" if length <= timedelta(days=120) else "week"


def over_time(
    con: duckdb.DuckDBPyConnection,
    selection: Selection,
    *,
    by: str | None = None,
    bucket: Bucket = "day",
    limit: int = 5,
    sort: Sort = "cost",
    now: datetime | None = None,
) -> pl.DataFrame:
    """A row for each bucket and each of the `limit` largest groups, the rest, and the total.

    Without `by` there is only the total. Buckets go from the window's beginning (else the first
    exchange) to its end or `now`, whichever is earlier (else the last exchange), and none is
    missing. Columns:

    - `start`: when the bucket begins, UTC; `part` "group", "rest" or "total"; `name` of the group
    - `exchanges`, `errors`; `cost_usd` Decimal, `input_tokens`, `output_tokens`,
      `cache_read_tokens`: known ones, 0 in a bucket with no exchange; `not_fully_priced`: cost is
      missing or a lower bound

    In the order of groups (the largest in the whole window first, then rest, then total), then of
    time. Raises UnknownDimension, TooManyBuckets.
    """
    if by is None:
        found = _cells(con, selection, None, bucket, 0, sort).filter(pl.col("place").is_null())
    else:
        found = _cells(con, selection, by, bucket, limit, sort)
    buckets = _buckets(found["start"], selection.window, bucket, now)
    return _filled(found, buckets, limit)


def _cells(
    con: duckdb.DuckDBPyConnection,
    selection: Selection,
    by: str | None,
    bucket: Bucket,
    limit: int,
    sort: Sort,
) -> pl.DataFrame:
    expression, given = ("NULL", []) if by is None else dimension(by)
    source, parameters = summed(con, selection, *([] if by is None else [by]))
    hours = 1 if bucket == "hour" else 24
    return frame(
        con,
        f"""
WITH cells AS MATERIALIZED (
    SELECT hour // {hours} AS number, {expression} AS name, {_CELL}
    FROM {source} GROUP BY ALL
),
largest AS (
    SELECT name AS label FROM cells GROUP BY name
    ORDER BY {_ORDER[sort]}, name NULLS LAST LIMIT ?
),
ranked AS (SELECT label, row_number() OVER () AS rank FROM largest),
placed AS (
    SELECT {_start(bucket)} AS start, coalesce(rank, ?) AS place, cells.*
    FROM cells LEFT JOIN ranked ON name IS NOT DISTINCT FROM label
)
SELECT start, place, any_value(name) AS name, {_SUMS}
FROM placed GROUP BY GROUPING SETS ((start, place), (start)) ORDER BY place NULLS LAST, start""",
        [*given, *parameters, limit, limit + 1],
    )


def _start(bucket: Bucket) -> str:
    """When the bucket begins to which an hour's or a day's number belongs, as SQL."""
    if bucket == "hour":
        return f"make_timestamptz(number * {_HOUR})"
    if bucket == "day":
        return f"make_timestamptz(number * {_DAY})"
    if bucket == "week":
        return f"make_timestamptz(((number + {_MONDAY}) // 7 * 7 - {_MONDAY}) * {_DAY})"
    return f"date_trunc('month', make_timestamptz(number * {_DAY}))"


def _buckets(
    found: pl.Series, window: Window, bucket: Bucket, now: datetime | None
) -> pl.DataFrame:
    first = window.since or found.min()
    ends = [moment - timedelta(microseconds=1) for moment in (window.until, now) if moment]
    last = min(ends) if ends else found.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return pl.DataFrame(schema={"start": pl.Datetime("us", "UTC")})
    every = _EVERY[bucket]
    if (last - first) / timedelta(hours=1 if bucket == "hour" else 24) > MOST_BUCKETS:
        raise TooManyBuckets(f"{window} has more than {MOST_BUCKETS:,} buckets of one {bucket}.")
    bounds = pl.Series([first, last], dtype=pl.Datetime("us", "UTC")).dt.truncate(every)
    starts = pl.datetime_range(bounds[0], bounds[1], every, time_zone="UTC", eager=True)
    return pl.DataFrame({"start": starts.cast(pl.Datetime("us", "UTC"))})


def _filled(found: pl.DataFrame, buckets: pl.DataFrame, limit: int) -> pl.DataFrame:
    part = (
        pl.when(pl.col("place").is_null())
        .then(pl.lit("total"))
        .when(pl.col("place") > limit)
        .then(pl.lit("rest"))
        .otherwise(pl.lit("group"))
    )
    named = found.with_columns(
        part.alias("part"),
        pl.when(part == "group").then(pl.col("name").cast(pl.String)).alias("name"),
    )
    series = named.select("place", "part", "name").unique(maintain_order=True)
    if series.is_empty():
        total = {"place": [None], "part": ["total"], "name": [None]}
        series = pl.DataFrame(total, schema=series.schema)
    grid = series.join(buckets, how="cross", maintain_order="left_right")
    sums = named.select("place", "start", *_SUMMED)
    joined = grid.join(
        sums, on=["place", "start"], how="left", nulls_equal=True, maintain_order="left"
    )
    empty = pl.col("exchanges").is_null()
    filled = [
        pl.when(empty).then(0).otherwise(pl.col(name)).cast(found.schema[name]).alias(name)
        for name in _SUMMED
    ]
    return joined.select("start", "part", "name", *filled)


def durations_over_time(
    con: duckdb.DuckDBPyConnection,
    selection: Selection,
    *,
    bucket: Bucket = "day",
    now: datetime | None = None,
) -> pl.DataFrame:
    """Percentiles of the durations of answers that came whole, by bucket, none missing.

    Columns: `start`, UTC; `answered`, the completed exchanges that they come from (a sample of
    more than EXACT_ROWS, see analytics.selected.sampled); `p50_seconds`, `p95_seconds`,
    `p99_seconds`; `p50_first_chunk_seconds`, `p95_first_chunk_seconds`: null where none is known.
    """
    where, parameters = sampled(con, selection, "outcome = 'completed'")
    unit = _HOUR if bucket == "hour" else _DAY
    first = "time_to_first_chunk_seconds"
    found = frame(
        con,
        f"""
WITH chosen AS (
    SELECT epoch_us(started_at) // {unit} AS number, duration_seconds, {first}
    FROM exchanges WHERE {where}
),
placed AS (SELECT {_start(bucket)} AS start, duration_seconds, {first} FROM chosen)
SELECT start, count(*) AS answered,
    quantile_cont(duration_seconds, 0.5) AS p50_seconds,
    quantile_cont(duration_seconds, 0.95) AS p95_seconds,
    quantile_cont(duration_seconds, 0.99) AS p99_seconds,
    quantile_cont({first}, 0.5) AS p50_first_chunk_seconds,
    quantile_cont({first}, 0.95) AS p95_first_chunk_seconds
FROM placed GROUP BY start ORDER BY start""",
        parameters,
    )
    buckets = _buckets(found["start"], selection.window, bucket, now)
    joined = buckets.join(found, on="start", how="left", maintain_order="left")
    return joined.with_columns(pl.col("answered").fill_null(0))
