"""What cost how much: the exchanges of a window, by one dimension.

Owns the ranking by cost. Sums leave out what is unknown, and a count beside them says how many
exchanges that concerns.
"""

from __future__ import annotations

from typing import Literal

import duckdb
import polars as pl

from analytics import ranking
from analytics.queries import NOT_FULLY_PRICED, WITHOUT_USAGE, Selection
from analytics.ranking import MONEY, Measure, counted

Sort = Literal["cost", "exchanges", "tokens"]

_ORDER: dict[str, str] = {
    "cost": "cost_usd DESC NULLS LAST, exchanges DESC",
    "exchanges": "exchanges DESC, cost_usd DESC NULLS LAST",
    "tokens": "coalesce(input_tokens, 0) + coalesce(output_tokens, 0) DESC, exchanges DESC",
}
_MEASURES = {
    **ranking.EXCHANGES,
    **ranking.ERRORS,
    **ranking.TOKENS,
    **ranking.COST,
    "not_fully_priced": counted(NOT_FULLY_PRICED),
    "estimated": counted("cost_status = 'estimated'"),
    "without_usage": counted(WITHOUT_USAGE),
    "cached": counted("cache_hit IS NOT NULL"),
    "saved_usd": Measure("sum(saved_usd)", MONEY),
}


def spend(
    con: duckdb.DuckDBPyConnection,
    by: str,
    selection: Selection,
    *,
    limit: int = 10,
    sort: Sort = "cost",
) -> pl.DataFrame:
    """The `limit` largest groups, then the rest of them, then the total.

    `by` is a dimension (analytics.queries.DIMENSIONS or `tag:NAME`). Columns:

    - `part` "group", "rest" or "total"; `name` of the group, null where exchanges have none;
      `groups`, how many the row covers
    - `exchanges`, `errors` (neither completed nor answered from a cache)
    - `input_tokens`, `output_tokens`: known ones, null where none is
    - `cost_usd` Decimal, the known costs; `cost_share` of the known costs of all, 0 to 1
    - `p50_seconds`, `p95_seconds`: the whole duration, exact up to EXACT_ROWS exchanges, of more
      from a sample of about so many (see analytics.selected.sampled)
    - `not_fully_priced` (cost is missing or a lower bound), `estimated` (cost rests on estimated
      tokens), `without_usage` (it may have cost something, and nobody said how much was used)
    - `cached`, answers from the proxy's cache, which cost nothing; `saved_usd` Decimal, what they
      would have cost

    The total is there even where no exchange is. Raises UnknownDimension.
    """
    sums = ranking.ranked(con, by, selection, _MEASURES, order=_ORDER[sort], limit=limit)
    durations = ranking.percentiles(
        con, by, selection, sums, {"seconds": "duration_seconds"}, (50, 95)
    )
    return sums.hstack(durations).select(
        *("part", "name", "groups", "exchanges", "errors", "input_tokens", "output_tokens"),
        "cost_usd",
        ranking.share("cost_usd").alias("cost_share"),
        *("p50_seconds", "p95_seconds", "not_fully_priced", "estimated", "without_usage"),
        *("cached", "saved_usd"),
    )
