"""What was used before the worker began, charged to its limits and budgets.

Owns that each rule is charged its past once, also one that comes or changes with a reload. Refuses
to know where the past is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from proxy.limits.accounts import SLICES, Calendar, Now
from proxy.limits.claims import EVERYTHING, Meter, budget_meter, limit_meters, whose_of
from proxy.limits.money import History, Spent
from proxy.limits.settlement import present
from proxy.memory import Memory
from proxy.rules.choosing import Ready, Rules
from proxy.rules.conditions import unmet
from proxy.rules.settings import Budget, Limit

QUARTER = timedelta(minutes=15)
"""Every zone's day begins with one."""


class Past:
    """What the rules of one worker that count are still to be charged: what began before now."""

    def __init__(
        self, history: History, memory: Memory, pinned: Callable[[str | None, str], Container[str]]
    ) -> None:
        """`pinned` tells what the calls of a key to a provider cannot make up."""
        self._history = history
        self._pinned = pinned
        self._memory = memory
        self._now = present()

    async def charge(self, limits: Rules[Limit], budgets: Rules[Budget]) -> None:
        """Charge the rules that are new what was used. Raises OSError."""
        bounded = [ready for ready in budgets if not self._money(ready).buckets.charged]
        counted = list(self._new(limits))
        if bounded:
            since = min(_start(ready.does, self._now.wall) for ready in bounded)
            self._charge_budgets(bounded, await self._spent(since, QUARTER))
        for seconds in {ready.does.window_seconds for ready in counted}:
            window = timedelta(seconds=seconds)
            spent = await self._spent(self._now.wall - window, window / SLICES)
            self._charge_limits([r for r in counted if r.does.window_seconds == seconds], spent)

    def _new(self, limits: Iterable[Ready[Limit]]) -> Iterator[Ready[Limit]]:
        return (ready for ready in limits if self._uncharged(ready))

    def _uncharged(self, ready: Ready[Limit]) -> list[Meter]:
        """What a limit bounds and has no past yet. Calls at a time have none."""
        meters = limit_meters(self._memory, ready)
        return [m for m in meters if m.unit != "concurrent" and not m.buckets.charged]

    def _money(self, ready: Ready[Budget]) -> Meter:
        return budget_meter(self._memory, ready)

    async def _spent(self, since: datetime, step: timedelta) -> list[Spent]:
        until = self._now.wall
        return await asyncio.to_thread(lambda: list(self._history(since, until, step)))

    def _charge_budgets(self, new: Sequence[Ready[Budget]], spent: Sequence[Spent]) -> None:
        for ready in new:
            meter = self._money(ready)
            if meter.buckets.charged:
                continue
            for each in spent:
                if each.cost_usd is not None and unmet(ready.conditions, each) is None:
                    at = Now(0.0, each.started_at)
                    whose = whose_of(ready.does.per, each, self._pinned(each.key, each.provider))
                    meter.account(whose, at).add(each.cost_usd, at)
            meter.buckets.charged = True

    def _charge_limits(self, new: Sequence[Ready[Limit]], spent: Sequence[Spent]) -> None:
        for ready in self._new(new):
            meters = self._uncharged(ready)
            for each in spent:
                if unmet(ready.conditions, each) is not None:
                    continue
                age = (self._now.wall - each.started_at).total_seconds()
                at = Now(self._now.monotonic - age, each.started_at)
                whose = whose_of(ready.does.per, each, EVERYTHING)
                for meter in meters:
                    used = {"requests": each.requests, "tokens": each.tokens}.get(meter.unit, 0)
                    meter.account(whose, at).add(used, at)
            for meter in meters:
                meter.buckets.charged = True


def _start(rule: Budget, at: datetime) -> datetime:
    zone = ZoneInfo(rule.zone)
    start = Calendar(rule.period, zone).start(at)
    return datetime(start.year, start.month, start.day, tzinfo=zone)
