"""Calls that a rule shares between several destinations, compared: a canary beside the rest.

Owns which exchanges belong to which arm: those that the rule sent there, also where another
upstream served them in the end. Refuses to say which arm is better.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics.queries import DAY, IS_ERROR, Selection, condition, frame

_SENT = """sent AS (
    SELECT exchange_id, rule, replace(action, 'sent to ', '') AS arm
    FROM decisions WHERE policy = 'balance' AND starts_with(action, 'sent to ')
)"""


def arms(con: duckdb.DuckDBPyConnection, selection: Selection) -> pl.DataFrame:
    """The arms of every balance rule, the larger ones first within a rule.

    Columns: `rule`, `arm` (where to); `exchanges`, `share` of the rule's; `sessions`, `users`;
    `errors`, `error_share`; `cost_usd` Decimal, `cost_per_exchange_usd` of those with a known cost;
    `input_tokens` and `output_tokens`, `cached_share` of the input, per exchange that has them;
    `p50_seconds`, `p95_seconds` of completed ones, and `p50_first_chunk_seconds`; `since` and
    `last_at`.
    """
    where, parameters = condition(selection)
    return frame(
        con,
        f"""
WITH chosen AS (FROM exchanges WHERE {where}), {_SENT}
SELECT rule, arm, count(*) AS exchanges,
    count(*) / sum(count(*)) OVER (PARTITION BY rule) AS share,
    count(DISTINCT session_id) AS sessions,
    count(DISTINCT user_id) AS users,
    count(*) FILTER ({IS_ERROR}) AS errors,
    count(*) FILTER ({IS_ERROR}) / count(*) AS error_share,
    sum(cost_usd) AS cost_usd,
    CAST(sum(cost_usd) / count(cost_usd) AS DECIMAL(18, 12)) AS cost_per_exchange_usd,
    avg(input_tokens) AS input_tokens,
    avg(output_tokens) AS output_tokens,
    sum(cache_read_tokens) / sum(input_tokens) AS cached_share,
    quantile_cont(duration_seconds, 0.5) FILTER (outcome = 'completed') AS p50_seconds,
    quantile_cont(duration_seconds, 0.95) FILTER (outcome = 'completed') AS p95_seconds,
    quantile_cont(time_to_first_chunk_seconds, 0.5) FILTER (outcome = 'completed')
        AS p50_first_chunk_seconds,
    min(started_at) AS since,
    max(started_at) AS last_at
FROM chosen JOIN sent USING (exchange_id)
GROUP BY rule, arm
ORDER BY rule, exchanges DESC, arm""",
        parameters,
    )


def arms_by_day(con: duckdb.DuckDBPyConnection, selection: Selection) -> pl.DataFrame:
    """The same by day (UTC), to see whether a difference lasts.

    Columns: `rule`, `day`, `arm`, `exchanges`, `error_share`, `cost_per_exchange_usd`,
    `p50_seconds`.
    """
    where, parameters = condition(selection)
    return frame(
        con,
        f"""
WITH chosen AS (FROM exchanges WHERE {where}), {_SENT}
SELECT rule, {DAY} AS day, arm, count(*) AS exchanges,
    count(*) FILTER ({IS_ERROR}) / count(*) AS error_share,
    CAST(sum(cost_usd) / count(cost_usd) AS DECIMAL(18, 12)) AS cost_per_exchange_usd,
    quantile_cont(duration_seconds, 0.5) FILTER (outcome = 'completed') AS p50_seconds
FROM chosen JOIN sent USING (exchange_id)
GROUP BY ALL ORDER BY rule, day, arm""",
        parameters,
    )
