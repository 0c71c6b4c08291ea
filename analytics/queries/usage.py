"""Which tokens were used: the classes that are priced apart, by one dimension.

Owns the division of input and output into disjoint classes. Where a provider does not name a
class, its tokens count as fresh input and visible output, which is how they are billed; a count
says how many exchanges that concerns.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics import ranking
from analytics.queries import WITHOUT_USAGE, Selection
from analytics.ranking import MONEY, SUM, Measure, counted

CLASSES = (
    "fresh_input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "visible_output_tokens",
    "reasoning_tokens",
)
"""Disjoint; their sum is all input and all output."""
_MEASURES = {
    **ranking.EXCHANGES,
    "without_usage": counted(WITHOUT_USAGE),
    "estimated": counted("usage_source = 'estimated'"),
    **ranking.TOKENS,
    "cache_read_tokens": Measure("sum(cache_read_tokens)", SUM),
    "cache_write_tokens": Measure("sum(cache_write_tokens)", SUM),
    "cache_write_1h_tokens": Measure("sum(cache_write_1h_tokens)", SUM),
    "reasoning_tokens": Measure("sum(reasoning_tokens)", SUM),
    "audio_input_tokens": Measure("sum(audio_input_tokens)", SUM),
    "audio_output_tokens": Measure("sum(audio_output_tokens)", SUM),
    "web_searches": Measure("sum(web_searches)", SUM),
    "cacheable": Measure("sum(cacheable_tokens)", SUM),
    "with_input": Measure("sum(with_input)"),
    "with_cache": Measure("sum(with_cache)"),
    "with_output": Measure("sum(with_output)"),
    "with_reasoning": Measure("sum(with_reasoning)"),
    "input_cost_usd": Measure("sum(input_cost_usd)", MONEY),
    "output_cost_usd": Measure("sum(output_cost_usd)", MONEY),
    **ranking.COST,
}
_ORDER = "coalesce(input_tokens, 0) + coalesce(output_tokens, 0) DESC, exchanges DESC"


def usage(
    con: duckdb.DuckDBPyConnection, by: str, selection: Selection, *, limit: int = 10
) -> pl.DataFrame:
    """The `limit` groups with the most tokens, then the rest of them, then the total.

    `by` is a dimension. Columns:

    - `part`, `name`, `groups` as in `spend`; `exchanges`; `without_usage`, of which nobody said
      how much they used, though they may have cost something; `estimated`, whose tokens were
      counted here
    - `input_tokens`, `output_tokens`: all known ones
    - `fresh_input_tokens`, `cache_read_tokens`, `cache_write_tokens`: the input, divided;
      `cache_write_1h_tokens`, the part of the writes that is kept for an hour
    - `visible_output_tokens`, `reasoning_tokens`: the output, divided
    - `audio_input_tokens`, `audio_output_tokens`: parts of the above; `web_searches`
    - `cache_unreported`, `reasoning_unreported`: exchanges with usage that does not name the class
    - `cache_share`: cache reads as a part of the input of exchanges that report them, 0 to 1
    - `input_cost_usd`, `output_cost_usd`, `cost_usd` Decimal: known ones; the first two can add up
      to less than the third where a provider reports one sum

    Raises UnknownDimension.
    """
    sums = ranking.ranked(con, by, selection, _MEASURES, order=_ORDER, limit=limit)
    return sums.select(
        *("part", "name", "groups", "exchanges", "without_usage", "estimated"),
        *("input_tokens", "output_tokens"),
        _without("input_tokens", "cache_read_tokens", "cache_write_tokens").alias(
            "fresh_input_tokens"
        ),
        *("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
        _without("output_tokens", "reasoning_tokens").alias("visible_output_tokens"),
        *("reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "web_searches"),
        (pl.col("with_input") - pl.col("with_cache")).alias("cache_unreported"),
        (pl.col("with_output") - pl.col("with_reasoning")).alias("reasoning_unreported"),
        pl.when(pl.col("cacheable") > 0)
        .then(pl.col("cache_read_tokens") / pl.col("cacheable"))
        .alias("cache_share"),
        *("input_cost_usd", "output_cost_usd", "cost_usd"),
    )


def _without(whole: str, *parts: str) -> pl.Expr:
    rest = pl.col(whole)
    for part in parts:
        rest = rest - pl.col(part).fill_null(0)
    return rest
