"""Budgets of the rules, as a screen shows them: whose period it is, and what of it is spent.

Owns which budgets the store can tell about: those that count every call, or calls by key or model.
What a user or a feature is believed to be is the proxy's to say, and so are conditions. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from dashboard.figures import share, usd
from proxy.limits.accounts import Calendar
from proxy.rules.conditions import When
from proxy.rules.settings import Rule

_COUNTED_BY = {"total": "provider", "key": "key", "model": "model"}
"""By which dimension to count the spend of a budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A budget that can be told about; `by` is the dimension to count by."""

    name: str
    usd: Decimal
    per: str
    period: str
    since: datetime
    by: str
    soft: float

    def line(self, spent: Decimal | None, whose: str | None) -> str:
        """`monthly: $40.00 of $50.00 this month (80%)`; `whose`: the one that spent most."""
        part = share(float((spent or Decimal(0)) / self.usd))
        most = "" if self.per == "total" else f", most of them {self.per} {whose or '(none)'}"
        period = "today" if self.period == "day" else f"this {self.period}"
        return f"{self.name}: {usd(spent or Decimal(0))} of {usd(self.usd)} {period} ({part}){most}"


def told(rules: Sequence[Rule], now: datetime) -> list[Told]:
    """The budgets in force whose spend the store knows."""
    return [
        Told(
            name=rule.name,
            usd=Decimal(rule.budget.usd),
            per=rule.budget.per,
            period=rule.budget.period,
            since=_start(Calendar(rule.budget.period, ZoneInfo(rule.budget.zone)), now),
            by=_COUNTED_BY[rule.budget.per],
            soft=float(rule.budget.soft),
        )
        for rule in rules
        if rule.enabled
        and rule.budget is not None
        and rule.when == When()
        and rule.budget.per in _COUNTED_BY
    ]


def _start(calendar: Calendar, now: datetime) -> datetime:
    day = calendar.start(now)
    return datetime(day.year, day.month, day.day, tzinfo=calendar.zone)
