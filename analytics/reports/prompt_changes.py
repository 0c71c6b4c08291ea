"""Each version of a prompt beside the one it replaced: in the days before the change, and since.

Owns which version was replaced, what is compared, and when a difference is clear. The sums are
those of prompt_versions.py; the exchanges are read once more, for the hours that a comparison
begins or ends in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from math import sqrt
from typing import Any

import duckdb
import polars as pl

from analytics.hours import ONE
from analytics.queries import MODEL, frame
from analytics.reports.prompt_versions import ADDED, SUMS

COMPARED = timedelta(days=7)
"""How far a change is looked at in both directions."""
_CLEAR = 3.0
"""Standard errors that a difference of means must have to be called clear."""
_MOST_CHANGES = 100
_MONEY = pl.Decimal(38, 12)
_COLUMNS: dict[str, Any] = {
    "feature": pl.String,
    "version": pl.Int64,
    "at": pl.Datetime("us", "UTC"),
    "replaced": pl.Int64,
    "exchanges_before": pl.Int64,
    "exchanges": pl.Int64,
    **dict.fromkeys(("input_tokens_before", "input_tokens"), pl.Float64),
    **dict.fromkeys(("output_tokens_before", "output_tokens"), pl.Float64),
    **dict.fromkeys(("cost_usd_before", "cost_usd"), _MONEY),
    "is_clear": pl.Boolean,
    "cost_usd_since": _MONEY,
    "models_changed": pl.Boolean,
}
# A change has three edges: where the days before begin, itself, where the days since end. Hours
# strictly between two edges count whole; those of the edges are read apart, cut at the edge.
_EDGES = """
CREATE OR REPLACE TEMP TABLE prompt_edges AS
WITH changes AS (
    SELECT unnest(range(?)) AS change, unnest(?::VARCHAR[]) AS label,
        unnest(?::TIMESTAMPTZ[]) AS moment
)
SELECT change, label, place, moment + place * ?::INTERVAL AS edge,
    epoch_us(edge) // 3_600_000_000 AS hour
FROM changes, (SELECT unnest([-1, 0, 1]) AS place)"""
_SIDES = f"""
WITH cut AS (
    SELECT change, version, place + (first_at >= edge)::INTEGER AS side,
        e.request_model, e.response_model, {SUMS}
    FROM (SELECT {ONE} FROM exchanges WHERE {{where}}) AS e
        JOIN prompt_versions v
            ON e.prompt_fingerprint = v.fingerprint AND e.feature IS NOT DISTINCT FROM v.label
        JOIN prompt_edges p ON e.hour = p.hour AND e.feature IS NOT DISTINCT FROM p.label
    GROUP BY ALL
),
whole AS (
    SELECT change, version, place + 1 AS side, h.* EXCLUDE (label, version, hour)
    FROM version_hours h JOIN (
        SELECT change, label, place, hour AS since,
            lead(hour) OVER (PARTITION BY change ORDER BY place) AS until
        FROM prompt_edges
    ) p ON h.label IS NOT DISTINCT FROM p.label AND h.hour > since AND h.hour < until
)
SELECT change, version, side = 1 AS is_since,
    list(DISTINCT {MODEL} ORDER BY {MODEL}) AS models, {ADDED}
FROM (FROM cut WHERE side IN (0, 1) UNION ALL BY NAME FROM whole) GROUP BY ALL"""

_Sides = dict[int, dict[bool, dict[str, Any]]]
"""By version of the feature: its sums before the change (False) and since (True)."""


def changes(
    con: duckdb.DuckDBPyConnection, versions: pl.DataFrame, where: str, parameters: list[Any]
) -> pl.DataFrame:
    """The frame `changes` of the report, without texts."""
    rows = versions.sort("feature", "version", nulls_last=True).to_dicts()
    new = [b for a, b in pairwise(rows) if a["feature"] == b["feature"]][:_MOST_CHANGES]
    sides = _sides(con, new, where, parameters)
    found = [made for n, row in enumerate(new) if (made := _change(row, sides[n])) is not None]
    return pl.DataFrame(found, _COLUMNS, orient="row")


def _sides(
    con: duckdb.DuckDBPyConnection, new: list[dict[str, Any]], where: str, parameters: list[Any]
) -> Mapping[int, _Sides]:
    """By place in `new`."""
    sides: dict[int, _Sides] = defaultdict(lambda: defaultdict(dict))
    if not new:
        return sides
    labels, moments = ([row[name] for row in new] for name in ("feature", "first_at"))
    con.execute(_EDGES, [len(new), labels, moments, COMPARED])
    for row in frame(con, _SIDES.format(where=where), parameters).iter_rows(named=True):
        sides[row["change"]][row["version"]][row["is_since"]] = row
    con.execute("DROP TABLE prompt_edges")
    return sides


def _change(row: dict[str, Any], sides: _Sides) -> tuple[Any, ...] | None:
    """None where no earlier version was in use in the days before."""
    version = row["version"]
    earlier = {n: side[False] for n, side in sides.items() if n < version and False in side}
    if not earlier:
        return None
    replaced = max(earlier, key=lambda each: (earlier[each]["exchanges"], -each))
    old, new = earlier[replaced], sides[version][True]
    before, after = _each(old), _each(new)
    since, is_clear = None, None
    if before is not None and after is not None:
        since = (after - before) * row["exchanges"]
        error = sqrt(_variance(old) / old["costed"] + _variance(new) / new["costed"])
        is_clear = abs(float(after - before)) > _CLEAR * error
    return (
        *(row["feature"], version, row["first_at"], replaced),
        *(old["exchanges"], new["exchanges"], _mean(old, "input"), _mean(new, "input")),
        *(_mean(old, "output"), _mean(new, "output"), before, after, is_clear, since),
        old["models"] != new["models"],
    )


def _mean(side: dict[str, Any], name: str) -> float | None:
    return side[name] / side[f"with_{name}"] if side[f"with_{name}"] else None


def _each(side: dict[str, Any]) -> Decimal | None:
    if not side["costed"]:
        return None
    return Decimal(side["cost_usd"] / side["costed"]).quantize(Decimal("1e-12"))


def _variance(side: dict[str, Any]) -> float:
    """Of the costs of single exchanges; 0 of one alone."""
    count, total = side["costed"], float(side["cost_usd"])
    return float(max(side["squares"] - total * total / count, 0.0) / max(count - 1, 1))
