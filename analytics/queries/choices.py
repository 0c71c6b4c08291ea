"""What one can choose from: the values of a dimension, and the names of tags.

Owns what filters offer.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics.queries import Selection, dimension, frame
from analytics.selected import summed

LATEST = 200_000
"""The names of tags are those among so many of the latest exchanges."""


def choices(
    con: duckdb.DuckDBPyConnection, by: str, selection: Selection, *, limit: int = 200
) -> pl.DataFrame:
    """The most frequent values of a dimension among the selected exchanges.

    Columns: `name` (null for exchanges without one), `exchanges`. Raises UnknownDimension.
    """
    expression, given = dimension(by)
    source, parameters = summed(con, selection, by)
    return frame(
        con,
        f"SELECT CAST({expression} AS VARCHAR) AS name, sum(exchanges)::BIGINT AS exchanges "
        f"FROM {source} GROUP BY ALL ORDER BY exchanges DESC, name NULLS LAST LIMIT ?",
        [*given, *parameters, limit],
    )


def tag_names(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The names of free labels among the latest exchanges that were posted.

    Columns: `name`, `exchanges` that have it. The most frequent first.
    """
    return frame(
        con,
        """
WITH latest AS (
    SELECT tags FROM exchanges
    WHERE rowid > (SELECT max(rowid) FROM exchanges) - ? AND tags IS NOT NULL
)
SELECT name, count(*) AS exchanges FROM (SELECT unnest(map_keys(tags)) AS name FROM latest)
GROUP BY name ORDER BY exchanges DESC, name""",
        [LATEST],
    )
