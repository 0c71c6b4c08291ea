"""What was spent before the worker began, charged to its budgets.

Owns that each budget is charged its past once, also one that comes with a reload. Refuses to know
where the past is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from proxy.limits.accounts import Calendar, Now
from proxy.limits.claims import budget_meter, whose_of
from proxy.limits.money import History, Spent
from proxy.memory import Memory
from proxy.rules.choosing import Ready, Rules
from proxy.rules.conditions import unmet
from proxy.rules.settings import Budget


class Past:
    """What the budgets of one worker are still to be charged."""

    def __init__(
        self, history: History, memory: Memory, pinned: Callable[[str | None], Container[str]]
    ) -> None:
        """`pinned` tells the labels that the calls of a key cannot change."""
        self._history = history
        self._pinned = pinned
        self._memory = memory

    async def charge(self, budgets: Rules[Budget]) -> None:
        """Charge the budgets that are new what was spent before this moment. Raises OSError."""
        new = [ready for ready in budgets if not self._memory.of(_Charged, ready.name).done]
        if not new:
            return
        until = datetime.now(UTC)
        since = min(_start(ready.does, until) for ready in new)
        spent = await asyncio.to_thread(lambda: list(self._history(since, until)))
        for ready in new:
            charged = self._memory.of(_Charged, ready.name)
            if not charged.done:
                charged.done = True
                self._charge(ready, spent)

    def _charge(self, ready: Ready[Budget], spent: Sequence[Spent]) -> None:
        meter = budget_meter(self._memory, ready)
        for each in spent:
            if each.cost_usd is not None and unmet(ready.conditions, each) is None:
                at = Now(0.0, each.started_at)
                whose = whose_of(ready.does.per, each, self._pinned(each.key))
                meter.account(whose, at).add(each.cost_usd, at)


@dataclass(slots=True)
class _Charged:
    done: bool = False


def _start(rule: Budget, at: datetime) -> datetime:
    zone = ZoneInfo(rule.zone)
    start = Calendar(rule.period, zone).start(at)
    return datetime(start.year, start.month, start.day, tzinfo=zone)
