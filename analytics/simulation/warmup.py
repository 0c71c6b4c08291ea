"""How far back rules look: budgets to the beginning of their period, limits over their window.

Owns that reckoning. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from proxy.limits.accounts import Calendar
from proxy.rules.routing import WARM_SECONDS
from proxy.rules.settings import Rule


def look_back(rules: Sequence[Rule], since: datetime) -> datetime | None:
    """From when on rules that come into force at `since` count; None where none counts."""
    found = [moment for rule in rules if (moment := _of(rule, since)) is not None]
    return min(found, default=None)


def _of(rule: Rule, since: datetime) -> datetime | None:
    if rule.budget is not None:
        zone = ZoneInfo(rule.budget.zone)
        start = Calendar(rule.budget.period, zone).start(since)
        return datetime.combine(start, time.min, zone).astimezone(UTC)
    if rule.limit is not None:
        return since - timedelta(seconds=rule.limit.window_seconds)
    if rule.breaker is not None:
        return since - timedelta(seconds=rule.breaker.window_seconds)
    if rule.route is not None and (rule.route.if_cheaper or rule.when.difficulty_below):
        return since - timedelta(seconds=WARM_SECONDS)
    return None
