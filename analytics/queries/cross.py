"""Two dimensions against each other: what each pair of values costs.

Owns the folding: the largest values of each dimension have a row or column of their own, the rest
of them share one, so the table stays as large as a screen.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics.queries import NOT_FULLY_PRICED, Selection, dimension, frame
from analytics.selected import summed

_SUMS = """sum(exchanges)::BIGINT AS exchanges, sum(cost_usd) AS cost_usd,
    sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens,
    sum(not_fully_priced)::BIGINT AS not_fully_priced"""


def cross(
    con: duckdb.DuckDBPyConnection,
    rows: str,
    columns: str,
    selection: Selection,
    *,
    limit: int = 12,
    column_limit: int = 8,
) -> pl.DataFrame:
    """A row for each pair of values that occurs.

    `rows` and `columns` are dimensions; of each, those with the highest costs are told apart, up
    to the limits. Columns: `part` and `name` of the first, `column_part` and `column_name` of the
    second ("group" or "rest"; the name is null where exchanges have none); `exchanges`,
    `cost_usd` Decimal, `input_tokens`, `output_tokens`: known ones; `not_fully_priced`: cost is
    missing or a lower bound. In the order of the rows' costs, then of the columns', the rest last.
    Raises UnknownDimension.
    """
    first, given = dimension(rows)
    second, second_given = dimension(columns)
    source, parameters = summed(con, selection, rows, columns)
    found = frame(
        con,
        f"""
WITH cells AS MATERIALIZED (
    SELECT {first} AS name, {second} AS column_name, sum(exchanges) AS exchanges,
        sum(cost_usd) AS cost_usd, sum(input_tokens) AS input_tokens,
        sum(output_tokens) AS output_tokens,
        coalesce(sum(exchanges) FILTER ({NOT_FULLY_PRICED}), 0) AS not_fully_priced
    FROM {source} GROUP BY ALL
),
first AS ({_places("name")}),
second AS ({_places("column_name")}),
placed AS (
    SELECT coalesce(first.rank, ?) AS place, coalesce(second.rank, ?) AS column_place, cells.*
    FROM cells LEFT JOIN first ON cells.name IS NOT DISTINCT FROM first.label
        LEFT JOIN second ON cells.column_name IS NOT DISTINCT FROM second.label
)
SELECT place, column_place, any_value(name) AS name, any_value(column_name) AS column_name, {_SUMS}
FROM placed GROUP BY place, column_place ORDER BY place, column_place""",
        [*given, *second_given, *parameters, limit, column_limit, limit + 1, column_limit + 1],
    )
    return found.select(
        *_named("place", "name", limit, "part"),
        *_named("column_place", "column_name", column_limit, "column_part"),
        pl.exclude("place", "column_place", "name", "column_name"),
    )


def _places(column: str) -> str:
    return f"""SELECT label, row_number() OVER () AS rank FROM (
        SELECT {column} AS label FROM cells GROUP BY {column}
        ORDER BY sum(cost_usd) DESC NULLS LAST, sum(exchanges) DESC, {column} NULLS LAST LIMIT ?
    )"""


def _named(place: str, name: str, limit: int, part: str) -> tuple[pl.Expr, pl.Expr]:
    is_group = pl.col(place) <= limit
    return (
        pl.when(is_group).then(pl.lit("group")).otherwise(pl.lit("rest")).alias(part),
        pl.when(is_group).then(pl.col(name).cast(pl.String)).alias(name),
    )
