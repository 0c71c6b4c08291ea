"""Who has which share of the costs: the ranking by cost and nothing else, for pictures.

Owns no figure that `spend` lacks; it leaves out the percentiles, which take most of the time.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics import ranking
from analytics.queries import NOT_FULLY_PRICED, Selection
from analytics.ranking import counted

_ORDER = "cost_usd DESC NULLS LAST, exchanges DESC"
_MEASURES = {
    **ranking.EXCHANGES,
    **ranking.COST,
    "not_fully_priced": counted(NOT_FULLY_PRICED),
}


def shares(
    con: duckdb.DuckDBPyConnection, by: str, selection: Selection, *, limit: int = 10
) -> pl.DataFrame:
    """The `limit` groups with the highest costs, then the rest of them, then the total.

    `by` is a dimension. Columns, as in `spend`: `part`, `name`, `groups`, `exchanges`, `cost_usd`
    Decimal, `cost_share`, `not_fully_priced`. Raises UnknownDimension.
    """
    sums = ranking.ranked(con, by, selection, _MEASURES, order=_ORDER, limit=limit)
    return sums.select(
        *("part", "name", "groups", "exchanges", "cost_usd"),
        ranking.share("cost_usd").alias("cost_share"),
        "not_fully_priced",
    )
