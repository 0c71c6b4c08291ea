"""What went wrong: errors, retries and refusals, by group and by kind.

Owns what counts as a failure. An answer in which the model declines is complete and no failure;
it is counted apart.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics import ranking
from analytics.queries import IS_ERROR, Selection, condition, frame
from analytics.ranking import Measure, counted

OUTCOMES = (
    "provider_error",
    "upstream_failed",
    "timed_out",
    "client_disconnected",
    "interrupted",
    "refused",
)
DECLINING = (
    *("refusal", "content_filter", "content_filtered", "guardrail_intervened"),
    *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"),
)
"""Finish reasons by which providers say that the model or a filter declined to answer."""
_WORDS = ", ".join(f"'{word}'" for word in DECLINING)
# An answer has one reason nearly always, and looking at that alone is three times as fast.
_DECLINED = f"""CASE WHEN len(finish_reasons) = 1 THEN finish_reasons[1] IN ({_WORDS})
    ELSE list_has_any(finish_reasons, [{_WORDS}]) END"""
_MEASURES = {
    **ranking.EXCHANGES,
    **ranking.ERRORS,
    **{name: counted(f"outcome = '{name}'") for name in OUTCOMES},
    "rate_limited": counted("status = 429"),
    "declined": counted(_DECLINED),
    "retried": counted("attempts > 1"),
    "recovered": counted("attempts > 1 AND outcome = 'completed'"),
    "extra_attempts": Measure("sum((attempts - 1) * exchanges) FILTER (attempts > 1)"),
    "error_cost_usd": Measure(f"sum(cost_usd) FILTER ({IS_ERROR})", ranking.MONEY),
}


def failures(
    con: duckdb.DuckDBPyConnection, by: str, selection: Selection, *, limit: int = 10
) -> pl.DataFrame:
    """The `limit` groups with the most errors, then the rest of them, then the total.

    `by` is a dimension. Columns:

    - `part`, `name`, `groups` as in `spend`; `exchanges`
    - `errors`, neither completed nor answered from a cache, and by outcome: `provider_error`,
      `upstream_failed`, `timed_out`, `client_disconnected`, `interrupted`, `refused` (by a rule)
    - `error_share` of the exchanges, 0 to 1
    - `rate_limited` (status 429), `declined` (the model or a filter would not answer; see
      DECLINING)
    - `retried`, exchanges with more than one attempt; `recovered`, those that were completed;
      `extra_attempts`, beyond the first of each
    - `error_cost_usd` Decimal, what is known to have been billed for errors

    Raises UnknownDimension.
    """
    order = "errors DESC, exchanges DESC"
    sums = ranking.ranked(con, by, selection, _MEASURES, order=order, limit=limit)
    share = pl.when(pl.col("exchanges") > 0).then(pl.col("errors") / pl.col("exchanges"))
    return sums.select(
        *("part", "name", "groups", "exchanges", "errors", *OUTCOMES),
        share.alias("error_share"),
        *("rate_limited", "declined", "retried", "recovered", "extra_attempts", "error_cost_usd"),
    )


def error_kinds(
    con: duckdb.DuckDBPyConnection, selection: Selection, *, limit: int = 50
) -> pl.DataFrame:
    """The kinds of errors, the most frequent first.

    Columns: `provider`, `outcome`, `status` (null where no answer came), `error_type`; `errors`;
    `share` of all errors; `users`, how many different ones met it; `cost_usd` Decimal, what is
    known to have been billed; `first_at`, `last_at`; `last_exchange_id` and its `last_message`.
    """
    where, parameters = condition(selection)
    return frame(
        con,
        f"""
SELECT provider, outcome, status, error_type,
    count(*) AS errors,
    count(*) / sum(count(*)) OVER () AS share,
    count(DISTINCT user_id) AS users,
    sum(cost_usd) AS cost_usd,
    min(started_at) AS first_at,
    max(started_at) AS last_at,
    CAST(arg_max(exchange_id, (started_at, exchange_id)) AS VARCHAR) AS last_exchange_id,
    arg_max_null(error_message, (started_at, exchange_id)) AS last_message
FROM exchanges WHERE {IS_ERROR} AND {where}
GROUP BY provider, outcome, status, error_type
ORDER BY errors DESC, provider NULLS LAST, outcome, status NULLS LAST, error_type NULLS LAST
LIMIT ?""",
        [*parameters, limit],
    )


def failed_attempts(
    con: duckdb.DuckDBPyConnection, selection: Selection, *, limit: int = 50
) -> pl.DataFrame:
    """The tries that failed, also those of exchanges which another try completed.

    Columns: `upstream`, `status`, `error_type`; `attempts`, how many; `later_completed`, those
    whose exchange was completed in the end; `wait_seconds`, their durations in sum; `first_at`,
    `last_at`. The most frequent first.
    """
    where, parameters = condition(selection)
    since, until = selection.window.since, selection.window.until
    return frame(
        con,
        f"""
WITH chosen AS (
    SELECT exchange_id, outcome FROM exchanges WHERE {where}
        AND (attempts > 1 OR outcome IS DISTINCT FROM 'completed')
)
SELECT tries.upstream, tries.status, tries.error_type,
    count(*) AS attempts,
    count(*) FILTER (outcome = 'completed') AS later_completed,
    sum(tries.duration_seconds) AS wait_seconds,
    min(tries.started_at) AS first_at,
    max(tries.started_at) AS last_at
FROM (FROM attempts WHERE (error_type IS NOT NULL OR status >= 400)
    AND (?::TIMESTAMPTZ IS NULL OR started_at >= ?)
    AND (?::TIMESTAMPTZ IS NULL OR started_at < ?::TIMESTAMPTZ + INTERVAL 1 DAY)) AS tries
JOIN chosen USING (exchange_id)
GROUP BY tries.upstream, tries.status, tries.error_type
ORDER BY attempts DESC, tries.upstream NULLS LAST, tries.status NULLS LAST,
    tries.error_type NULLS LAST
LIMIT ?""",
        [*parameters, since, since, until, until, limit],
    )
