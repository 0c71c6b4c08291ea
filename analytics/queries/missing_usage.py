"""Streams whose usage nobody told, and how to have it told.

Owns which streams those are. Refuses to count streams that ended early: their usage comes last, so
it was never to be had.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics.queries import Selection, frame
from analytics.selected import summed
from analytics.stream_mends import mend


def missing_usage(con: duckdb.DuckDBPyConnection, selection: Selection) -> pl.DataFrame:
    """A row per client, feature, provider and dialect that has streams without reported usage.

    Columns: `client`, `feature`, `provider`, `dialect`; `streams`, all completed ones that bill;
    `without_usage`, of these, and their `share`, 0 to 1; `estimated`, those of them whose tokens
    were counted here; `cost_usd` Decimal, what the estimates come to; `last_at`; `mend`, in words.
    Those with the most streams without usage come first.
    """
    source, parameters = summed(con, selection)
    found = frame(
        con,
        f"""
SELECT client, feature, provider, dialect, sum(exchanges)::BIGINT AS streams,
    coalesce(sum(exchanges) FILTER (usage_source IS DISTINCT FROM 'provider'), 0)::BIGINT
        AS without_usage,
    coalesce(sum(exchanges) FILTER (usage_source = 'estimated'), 0)::BIGINT AS estimated,
    sum(cost_usd) FILTER (usage_source = 'estimated') AS cost_usd,
    max(last_at) FILTER (usage_source IS DISTINCT FROM 'provider') AS last_at
FROM {source}
WHERE stream AND outcome = 'completed' AND cost_status IS NOT NULL
GROUP BY ALL HAVING without_usage > 0
ORDER BY without_usage DESC, client NULLS LAST, feature NULLS LAST, provider, dialect""",
        parameters,
    )
    mends = [mend(*row) for row in found.select("client", "provider", "dialect").iter_rows()]
    share = (pl.col("without_usage") / pl.col("streams")).alias("share")
    return found.with_columns(share, pl.Series("mend", mends, dtype=pl.String)).select(
        *("client", "feature", "provider", "dialect", "streams", "without_usage", "share"),
        *("estimated", "cost_usd", "last_at", "mend"),
    )
