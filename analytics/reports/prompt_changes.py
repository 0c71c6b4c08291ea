"""Each version of a prompt beside the one it replaced: in the days before the change, and since.

Owns which version was replaced, what is compared, and when a difference is clear. The sums are
those of prompt_versions.py, so no exchange is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from math import sqrt
from typing import Any

import duckdb
import polars as pl

from analytics.queries import MODEL, frame
from analytics.reports.prompt_versions import ADDED

_HOURS = 7 * 24
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
# Whole hours are compared. That of the change itself is among the days before for the versions that
# were in use, and among the days since for the new one, which nobody used earlier.
_SIDES = f"""
WITH changes AS (
    SELECT unnest(range(?)) AS change, unnest(?::VARCHAR[]) AS label,
        unnest(?::BIGINT[]) AS version, unnest(?::BIGINT[]) AS hour
)
SELECT change, h.version, h.version = c.version AS is_since,
    list(DISTINCT {MODEL} ORDER BY {MODEL}) AS models, {ADDED}
FROM version_hours h JOIN changes c ON h.label IS NOT DISTINCT FROM c.label
    AND (h.version = c.version AND h.hour < c.hour + {_HOURS}
        OR h.version < c.version AND h.hour >= c.hour - {_HOURS} AND h.hour <= c.hour)
GROUP BY ALL"""

_Sides = dict[int, dict[bool, dict[str, Any]]]
"""By version of the feature: its sums before the change (False) and since (True)."""


def changes(con: duckdb.DuckDBPyConnection, versions: pl.DataFrame) -> pl.DataFrame:
    """The frame `changes` of the report, without texts."""
    rows = versions.sort("feature", "version", nulls_last=True).to_dicts()
    new = [b for a, b in pairwise(rows) if a["feature"] == b["feature"]][:_MOST_CHANGES]
    sides = _sides(con, new)
    found = [made for n, row in enumerate(new) if (made := _change(row, sides[n])) is not None]
    return pl.DataFrame(found, _COLUMNS, orient="row")


def _sides(con: duckdb.DuckDBPyConnection, new: list[dict[str, Any]]) -> Mapping[int, _Sides]:
    """By place in `new`."""
    sides: dict[int, _Sides] = defaultdict(lambda: defaultdict(dict))
    labels, versions = ([row[name] for row in new] for name in ("feature", "version"))
    hours = [int(row["first_at"].timestamp()) // 3600 for row in new]
    for row in frame(con, _SIDES, [len(new), labels, versions, hours]).iter_rows(named=True):
        sides[row["change"]][row["version"]][row["is_since"]] = row
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
