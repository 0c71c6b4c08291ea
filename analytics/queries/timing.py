"""How fast answers come: percentiles of durations and of output speed, by one dimension.

Owns which exchanges and which spans of time say something about speed: answers that came whole.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics import ranking
from analytics.queries import Selection

PERCENTILES = (50, 95, 99)
ANSWERED = "outcome = 'completed'"
_WRITING = "duration_seconds - time_to_first_chunk_seconds"
VALUES = {
    "seconds": "duration_seconds",
    "first_chunk_seconds": "time_to_first_chunk_seconds",
    "tokens_per_second": f"""CASE WHEN stream AND output_tokens > 1 AND {_WRITING} >= 0.05
        THEN output_tokens / ({_WRITING}) END""",
    "overhead_seconds": "overhead_seconds",
}


def timing(
    con: duckdb.DuckDBPyConnection, by: str, selection: Selection, *, limit: int = 10
) -> pl.DataFrame:
    """The `limit` groups with the most exchanges, then the rest of them, then the total.

    `by` is a dimension. All is of answers that came whole (`outcome` completed); a value that an
    exchange lacks is left out. Columns:

    - `part`, `name`, `groups` as in `spend`; `exchanges`, completed or not; `answered`, completed
    - `measured`: the answers that the percentiles come from, all up to EXACT_ROWS, of more a
      sample of about so many (see analytics.selected.sampled)
    - `p50_seconds`, `p95_seconds`, `p99_seconds`: the whole duration; `seconds_known`, of how many
    - `p50_first_chunk_seconds`, ...: until the first byte of the answer;
      `first_chunk_seconds_known`
    - `p50_tokens_per_second`, ...: output tokens by the time between the first chunk and the end,
      of streams that took 0.05 s at least for that; `tokens_per_second_known`. A high percentile
      is a fast one.
    - `p50_overhead_seconds`, ...: spent in the proxy before the request went upstream;
      `overhead_seconds_known`

    Raises UnknownDimension.
    """
    measures = {
        **ranking.EXCHANGES,
        "answered": ranking.counted(ANSWERED),
    }
    order = "exchanges DESC"
    sums = ranking.ranked(con, by, selection, measures, order=order, limit=limit)
    found = ranking.percentiles(con, by, selection, sums, VALUES, PERCENTILES, only=ANSWERED)
    return sums.hstack(found)
