"""What rules would have done in sum: by rule, by feature, by user.

Owns the counting. Refuses to decide anything; money that nobody knows is counted, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl

from analytics.simulation.left_out import Counts
from analytics.simulation.replay import EFFECTS, Verdict, describe

_MONEY = pl.Decimal(38, 12)
_NOTHING = Decimal(0)
_SCHEMA: dict[str, Any] = {
    "exchange_id": pl.String,
    "started_at": pl.Datetime("us", "UTC"),
    **dict.fromkeys(("feature", "user_id", "model", "effect", "rule", "to", "reason"), pl.String),
    **dict.fromkeys(("cost_usd", "cost_there_usd", "saved_usd"), _MONEY),
}
_SUMS = (
    pl.len().cast(pl.Int64).alias("exchanges"),
    pl.col("user_id").drop_nulls().n_unique().cast(pl.Int64).alias("users"),
    pl.col("feature").drop_nulls().n_unique().cast(pl.Int64).alias("features"),
    pl.col("cost_usd").sum(),
    pl.col("saved_usd").sum(),
    pl.col("saved_usd").null_count().cast(pl.Int64).alias("unknown"),
)
_BY_EFFECT = [
    (pl.col("effect") == effect).sum().cast(pl.Int64).alias(effect.replace(" ", "_"))
    for effect in EFFECTS
]


@dataclass(slots=True)
class Totals:
    """All exchanges of the window, touched or not."""

    exchanges: int = 0
    cost_usd: Decimal = _NOTHING
    saved_usd: Decimal = _NOTHING
    unknown: int = 0
    """Exchanges of which nobody knows what they cost, or would have."""
    left_out: Counts = field(default_factory=Counts)
    """Of how many exchanges what is left out."""

    def add(self, verdict: Verdict) -> None:
        self.exchanges += 1
        self.cost_usd += verdict.cost_usd or _NOTHING
        self.left_out.update(verdict.call.left_out)
        saved = verdict.saved_usd
        if saved is None:
            self.unknown += 1
        else:
            self.saved_usd += saved


@dataclass(slots=True)
class Simulated:
    """What a simulation found; `affected` has a row for each exchange that a rule touched."""

    totals: Totals = field(default_factory=Totals)
    affected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_SCHEMA))

    def by_rule(self) -> pl.DataFrame:
        """`rule`, `effect`, `exchanges`, `users` and `features` that it concerns, `cost_usd` as it
        was, `saved_usd`, and of how many exchanges that is `unknown`; by what is saved."""
        return (
            self.affected.group_by("rule", "effect")
            .agg(*_SUMS)
            .sort("saved_usd", "exchanges", "rule", "effect", descending=[True, True, False, False])
        )

    def by(self, column: str, limit: int = 20) -> pl.DataFrame:
        """The same by `feature`, `user_id` or `model`, with a column for each effect."""
        return (
            self.affected.group_by(column)
            .agg(*_BY_EFFECT, *_SUMS)
            .sort("exchanges", column, descending=[True, False], nulls_last=True)
            .head(limit)
        )


def summed(verdicts: Iterable[Verdict]) -> Simulated:
    found, rows = Simulated(), []
    for verdict in verdicts:
        found.totals.add(verdict)
        if verdict.effect is not None:
            rows.append(describe(verdict))
    found.affected = pl.DataFrame(rows, _SCHEMA, orient="row")
    return found
