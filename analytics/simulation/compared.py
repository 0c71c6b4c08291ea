"""Two sets of rules on the same traffic: which exchanges they decide differently.

Owns the comparison, exchange by exchange. Refuses to say which is better.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from analytics.simulation.replay import Verdict, describe
from analytics.simulation.summary import Totals
from proxy.rules.settings import Rule

_MONEY = pl.Decimal(38, 12)
_NAMES = ("feature", "user_id", "was", "was_rule", "was_to", "is", "is_rule", "is_to", "reason")
_SCHEMA: dict[str, Any] = {
    "exchange_id": pl.String,
    **dict.fromkeys(_NAMES, pl.String),
    **dict.fromkeys(("cost_was_usd", "cost_is_usd"), _MONEY),
}


@dataclass(slots=True)
class Compared:
    """`different` has a row for each exchange that is decided differently."""

    old: Totals = field(default_factory=Totals)
    new: Totals = field(default_factory=Totals)
    different: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_SCHEMA))

    def changes(self) -> pl.DataFrame:
        """`was_rule`, `was`, `is_rule`, `is` (null: untouched), `exchanges`, `users`,
        `cost_was_usd`, `cost_is_usd` and an `example`; the most frequent first."""
        keys = ("was_rule", "was", "is_rule", "is")
        return (
            self.different.group_by(*keys)
            .agg(
                pl.len().cast(pl.Int64).alias("exchanges"),
                pl.col("user_id").drop_nulls().n_unique().cast(pl.Int64).alias("users"),
                pl.col("cost_was_usd", "cost_is_usd").sum(),
                pl.col("exchange_id").first().alias("example"),
            )
            .sort("exchanges", *keys, descending=[True] + [False] * 4, nulls_last=True)
        )


def compared(pairs: Iterable[Sequence[Verdict]]) -> Compared:
    found, rows = Compared(), []
    for old, new in pairs:
        found.old.add(old)
        found.new.add(new)
        was, now = describe(old), describe(new)
        if any(was[name] != now[name] for name in ("effect", "rule", "to")):
            rows.append(
                {
                    **{name: now[name] for name in ("exchange_id", "feature", "user_id", "reason")},
                    **{f"was{_tail(n)}": was[n] for n in ("effect", "rule", "to")},
                    **{f"is{_tail(n)}": now[n] for n in ("effect", "rule", "to")},
                    "cost_was_usd": was["cost_there_usd"],
                    "cost_is_usd": now["cost_there_usd"],
                }
            )
    found.different = pl.DataFrame(rows, _SCHEMA, orient="row")
    return found


def _tail(name: str) -> str:
    return "" if name == "effect" else f"_{name}"


def rule_changes(old: Sequence[Rule], new: Sequence[Rule]) -> list[str]:
    """Rules added, removed, changed and moved, a sentence each."""
    before, after = {r.name: r for r in old}, {r.name: r for r in new}
    found = [f"{name} is new." for name in after if name not in before]
    found += [f"{name} is gone." for name in before if name not in after]
    for name, rule in after.items():
        if name in before and rule != before[name]:
            keys = [
                key for key in Rule.model_fields if getattr(rule, key) != getattr(before[name], key)
            ]
            found.append(f"{name} has changed: {', '.join(keys)}.")
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        found.append("The order of rules has changed.")
    return found
