"""What policies did: retries, fallbacks, limits, refusals, as they were recorded.

Owns the counting. What a policy means is its own; words go through as they are, but for the lengths
of waits, which differ each time and would make each an action of its own.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics.queries import Selection, condition, frame

_WAIT = r" after [0-9.]+ s$"


def decisions(
    con: duckdb.DuckDBPyConnection, selection: Selection, *, limit: int = 50
) -> pl.DataFrame:
    """The decisions about the selected exchanges, the most frequent first.

    Columns: `policy`, `rule`, `action` (without how long it waited); `decisions`, how many;
    `exchanges` they concern; `last_at`, when the latest such exchange began; `last_reason`, its
    reason.
    """
    where, parameters = condition(selection)
    return frame(
        con,
        f"""
WITH chosen AS (SELECT exchange_id, started_at FROM exchanges WHERE {where})
SELECT policy, rule, regexp_replace(action, '{_WAIT}', '') AS action, count(*) AS decisions,
    count(DISTINCT exchange_id) AS exchanges,
    max(started_at) AS last_at,
    arg_max_null(reason, (started_at, exchange_id, number)) AS last_reason
FROM decisions JOIN chosen USING (exchange_id)
GROUP BY ALL
ORDER BY decisions DESC, policy NULLS LAST, rule NULLS LAST, action NULLS LAST
LIMIT ?""",
        [*parameters, limit],
    )
