"""Groups in an order: the largest ones, the rest of them, and the total.

Owns how a query ranks by a dimension and folds what lies beyond its limit into one row, and the
percentiles of those same groups. Refuses to know what is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl

from analytics.queries import IS_ERROR, Selection, dimension, frame
from analytics.selected import sampled, summed

Fold = str
COUNT: Fold = "coalesce(sum({}), 0)::BIGINT"
SUM: Fold = "sum({})::BIGINT"
MONEY: Fold = "sum({})"


@dataclass(frozen=True, slots=True)
class Measure:
    """An aggregate of sums (analytics.hours.SUMS) as SQL, and how several groups become one."""

    sql: str
    fold: Fold = COUNT


Measures = Mapping[str, Measure]


def counted(condition: str) -> Measure:
    """How many meet it (SQL over analytics.hours.KEYS)."""
    return Measure(f"sum(CASE WHEN {condition} THEN exchanges ELSE 0 END)")


EXCHANGES: Measures = {"exchanges": Measure("sum(exchanges)")}
ERRORS: Measures = {"errors": counted(IS_ERROR)}
TOKENS: Measures = {
    "input_tokens": Measure("sum(input_tokens)", SUM),
    "output_tokens": Measure("sum(output_tokens)", SUM),
}
COST: Measures = {"cost_usd": Measure("sum(cost_usd)", MONEY)}


def ranked(
    con: duckdb.DuckDBPyConnection,
    by: str,
    selection: Selection,
    measures: Measures,
    *,
    order: str,
    limit: int,
) -> pl.DataFrame:
    """The `limit` first groups in `order` (SQL over the measures), the rest, and the total.

    Columns: `part` "group", "rest" or "total"; `name` of the group, null where exchanges have
    none; `groups`, how many the row covers; the measures. The total is there even where no
    exchange is. Groups that `order` leaves equal come by name. Raises UnknownDimension.
    """
    expression, given = dimension(by)
    source, parameters = summed(con, selection, by)
    inner = ", ".join(f"{each.sql} AS {name}" for name, each in measures.items())
    outer = ", ".join(f"{each.fold.format(name)} AS {name}" for name, each in measures.items())
    found = frame(
        con,
        f"""
WITH sums AS MATERIALIZED (
    SELECT {expression} AS name, {inner} FROM {source} GROUP BY ALL
),
largest AS (SELECT * FROM sums ORDER BY {order}, name NULLS LAST LIMIT ?),
top AS (
    SELECT name AS label, row_number() OVER (ORDER BY {order}, name NULLS LAST) AS place
    FROM largest
),
placed AS (
    SELECT sums.*, coalesce(place, ?) AS place
    FROM sums LEFT JOIN top ON name IS NOT DISTINCT FROM label
)
SELECT place, any_value(name) AS name, count(*) AS groups, {outer}
FROM placed GROUP BY GROUPING SETS ((place), ()) ORDER BY place NULLS LAST""",
        [*given, *parameters, limit, limit + 1],
    )
    return _with_parts(found, limit)


def _with_parts(found: pl.DataFrame, limit: int) -> pl.DataFrame:
    place = pl.col("place")
    part = (
        pl.when(place.is_null())
        .then(pl.lit("total"))
        .when(place > limit)
        .then(pl.lit("rest"))
        .otherwise(pl.lit("group"))
    )
    name = pl.when(part == "group").then(pl.col("name").cast(pl.String))
    return found.select(part.alias("part"), name.alias("name"), pl.exclude("place", "name"))


def percentiles(
    con: duckdb.DuckDBPyConnection,
    by: str,
    selection: Selection,
    groups: pl.DataFrame,
    values: Mapping[str, str],
    at: Sequence[int],
    *,
    only: str = "true",
) -> pl.DataFrame:
    """Percentiles of values (SQL) for the rows that `ranked` gave, in their order.

    Columns: `measured`, the exchanges that they come from (a sample where there are many: see
    analytics.selected.sampled); of each value NAME `NAME_known`, those that have it, and `pN_NAME`.
    """
    expression, given = dimension(by)
    where, parameters = sampled(con, selection, only)
    names = groups.filter(part="group")["name"].to_list()
    found = frame(
        con,
        f"""
WITH top AS (SELECT unnest(?::VARCHAR[]) AS label, unnest(range({len(names)})) AS place),
chosen AS (
    SELECT {expression} AS name, {_columns(values)} FROM exchanges WHERE {where}
)
SELECT coalesce(place, {len(names)}) AS place, count(*) AS measured, {_quantiles(values, at)}
FROM chosen LEFT JOIN top ON name IS NOT DISTINCT FROM label
GROUP BY GROUPING SETS ((coalesce(place, {len(names)})), ())""",
        [names, *given, *parameters],
    )
    place = pl.int_range(pl.len(), dtype=pl.Int64)
    rows = groups.select(pl.when(pl.col("part") != "total").then(place).alias("place"))
    joined = rows.join(found, on="place", how="left", nulls_equal=True, maintain_order="left")
    counts = pl.col("measured", *(f"{name}_known" for name in values)).fill_null(0)
    return unpacked(joined.drop("place").with_columns(counts), values, at)


def _columns(values: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} AS {name}" for name, sql in values.items())


def _quantiles(values: Mapping[str, Any], at: Sequence[int]) -> str:
    ranks = ", ".join(str(each / 100) for each in at)
    return ", ".join(
        f"count({name}) AS {name}_known, quantile_cont({name}, [{ranks}]) AS {name}_quantiles"
        for name in values
    )


def unpacked(found: pl.DataFrame, values: Mapping[str, Any], at: Sequence[int]) -> pl.DataFrame:
    """Lists of percentiles as a column each."""
    columns = [
        pl.col(f"{name}_quantiles").list.get(place, null_on_oob=True).alias(f"p{each}_{name}")
        for name in values
        for place, each in enumerate(at)
    ]
    return found.with_columns(columns).drop(f"{name}_quantiles" for name in values)


def share(column: str, of: str = "total") -> pl.Expr:
    """A column as a part of its value in the row whose part is `of`; null where that is 0."""
    number = pl.col(column).cast(pl.Float64)
    whole = number.filter(pl.col("part") == of).last()
    return pl.when(whole != 0).then(number / whole)
