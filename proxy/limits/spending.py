"""What was used before the worker began, charged to its limits and budgets.

Owns that each rule is charged its past once, also one that comes with a reload. Refuses to know
where the past is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from proxy.limits.accounts import SLICES, Calendar, Now
from proxy.limits.claims import EVERY_LABEL, budget_meter, limit_meters, whose_of
from proxy.limits.money import History, Spent
from proxy.limits.settlement import present
from proxy.memory import Memory
from proxy.rules.choosing import Ready, Rules
from proxy.rules.conditions import unmet
from proxy.rules.settings import Budget, Limit

QUARTER = timedelta(minutes=15)
"""Every zone's day begins with one."""
T = TypeVar("T")


class Past:
    """What the rules of one worker that count are still to be charged: what began before now."""

    def __init__(
        self, history: History, memory: Memory, pinned: Callable[[str | None], Container[str]]
    ) -> None:
        """`pinned` tells the labels that the calls of a key cannot change."""
        self._history = history
        self._pinned = pinned
        self._memory = memory
        self._now = present()

    async def charge(self, limits: Rules[Limit], budgets: Rules[Budget]) -> None:
        """Charge the rules that are new what was used. Raises OSError."""
        bounded = list(self._new(budgets))
        counted = [r for r in self._new(limits) if r.does.requests or r.does.tokens]
        if bounded:
            since = min(_start(ready.does, self._now.wall) for ready in bounded)
            self._charge_budgets(bounded, await self._spent(since, QUARTER))
        for seconds in {ready.does.window_seconds for ready in counted}:
            window = timedelta(seconds=seconds)
            spent = await self._spent(self._now.wall - window, window / SLICES)
            self._charge_limits([r for r in counted if r.does.window_seconds == seconds], spent)

    def _new(self, rules: Iterable[Ready[T]]) -> Iterator[Ready[T]]:
        return (ready for ready in rules if not self._memory.of(_Charged, ready.name).done)

    async def _spent(self, since: datetime, step: timedelta) -> list[Spent]:
        until = self._now.wall
        return await asyncio.to_thread(lambda: list(self._history(since, until, step)))

    def _charge_budgets(self, new: Sequence[Ready[Budget]], spent: Sequence[Spent]) -> None:
        for ready in self._new(new):
            meter = budget_meter(self._memory, ready)
            for each in spent:
                if each.cost_usd is not None and unmet(ready.conditions, each) is None:
                    at = Now(0.0, each.started_at)
                    whose = whose_of(ready.does.per, each, self._pinned(each.key))
                    meter.account(whose, at).add(each.cost_usd, at)
            self._memory.of(_Charged, ready.name).done = True

    def _charge_limits(self, new: Sequence[Ready[Limit]], spent: Sequence[Spent]) -> None:
        for ready in self._new(new):
            meters = limit_meters(self._memory, ready)
            for each in spent:
                if unmet(ready.conditions, each) is not None:
                    continue
                age = (self._now.wall - each.started_at).total_seconds()
                at = Now(self._now.monotonic - age, each.started_at)
                whose = whose_of(ready.does.per, each, EVERY_LABEL)
                for meter in meters:
                    used = {"requests": each.requests, "tokens": each.tokens}.get(meter.unit, 0)
                    meter.account(whose, at).add(used, at)
            self._memory.of(_Charged, ready.name).done = True


@dataclass(slots=True)
class _Charged:
    done: bool = False


def _start(rule: Budget, at: datetime) -> datetime:
    zone = ZoneInfo(rule.zone)
    start = Calendar(rule.period, zone).start(at)
    return datetime(start.year, start.month, start.day, tzinfo=zone)
