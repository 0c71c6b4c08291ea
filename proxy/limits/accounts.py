"""Accounts: how much of a limit is used, and how much is held for calls under way.

Owns counting over sliding windows and calendar periods, and that what is held is given back. Pure:
time is an argument. Windows slide by a monotonic clock; periods go by the calendar of a zone, each
with a count of its own, so that a clock that jumps there and back resets nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

Amount = int | Decimal
Period = Literal["day", "week", "month"]
SLICES = 30
"""A sliding window moves on in so many steps."""
PERIODS_KEPT = 3
_NEVER = datetime(1, 1, 2, tzinfo=UTC)


class Now:
    """One moment in both clocks. Most accounts ask for one of them: the wall's, where it is not
    given, is looked at when it is asked for first."""

    __slots__ = ("_wall", "monotonic")

    def __init__(self, monotonic: float, wall: datetime | None = None) -> None:
        self.monotonic = monotonic
        self._wall = wall

    @property
    def wall(self) -> datetime:
        if self._wall is None:
            self._wall = datetime.now(UTC)
        return self._wall


class Account(Protocol):
    """What one bucket of a limit used."""

    held: Amount

    def used(self, now: Now) -> Amount: ...
    def add(self, amount: Amount, now: Now) -> None: ...
    def seconds_until(self, room: Amount, most: Amount, now: Now) -> float:
        """After how long so much fits below `most`, if nothing else comes."""


@dataclass(slots=True)
class Sliding:
    """The last so many seconds."""

    window_seconds: float
    held: Amount = 0
    spans: deque[tuple[int, Amount]] = field(default_factory=deque)
    total: Amount = 0

    def used(self, now: Now) -> Amount:
        spans = self.spans
        if spans:
            oldest = self._slice(now) - SLICES
            while spans and spans[0][0] <= oldest:
                self.total -= spans.popleft()[1]
        return self.total

    def add(self, amount: Amount, now: Now) -> None:
        current, spans = self._slice(now), self.spans
        self.total += amount
        if spans:
            newest, before = spans[-1]
            if newest == current:
                spans[-1] = current, before + amount
                return
            if newest > current:  # of the past, and charged late
                by_slice = dict(spans)
                by_slice[current] = by_slice.get(current, 0) + amount
                self.spans = deque(sorted(by_slice.items()))
                return
        spans.append((current, amount))

    def seconds_until(self, room: Amount, most: Amount, now: Now) -> float:
        left = self.used(now) + self.held
        for number, amount in self.spans:
            if left + room <= most:
                break
            left -= amount
            ends = (number + SLICES + 1) * self.window_seconds / SLICES
            if left + room <= most:
                return max(0.0, ends - now.monotonic)
        return self.window_seconds

    def _slice(self, now: Now) -> int:
        return int(now.monotonic * SLICES / self.window_seconds)


@dataclass(slots=True)
class Calendar:
    """The current day, week (from Monday) or month of a zone."""

    period: Period
    zone: ZoneInfo
    held: Amount = 0
    by_start: dict[date, Amount] = field(default_factory=dict)
    _known: tuple[datetime, datetime, date] = (_NEVER, _NEVER, date.min)
    """The period that was asked for last: from, until, and its start in the zone."""

    def used(self, now: Now) -> Amount:
        return self.by_start.get(self.start(now.wall), 0)

    def add(self, amount: Amount, now: Now) -> None:
        start = self.start(now.wall)
        self.by_start[start] = self.by_start.get(start, 0) + amount
        while len(self.by_start) > PERIODS_KEPT:
            del self.by_start[min(self.by_start)]

    def seconds_until(self, room: Amount, most: Amount, now: Now) -> float:
        del room, most
        return max(0.0, (self.next_start(now.wall) - now.wall).total_seconds())

    def start(self, at: datetime) -> date:
        since, until, start = self._known
        if not since <= at < until:
            start = self._start(at)
            since = datetime.combine(start, time.min, self.zone).astimezone(UTC)
            self._known = since, self._following(start).astimezone(UTC), start
        return start

    def next_start(self, at: datetime) -> datetime:
        return self._following(self.start(at))

    def _start(self, at: datetime) -> date:
        day = at.astimezone(self.zone).date()
        if self.period == "month":
            return day.replace(day=1)
        return day - timedelta(days=day.weekday()) if self.period == "week" else day

    def _following(self, start: date) -> datetime:
        if self.period == "month":
            following = (start + timedelta(days=31)).replace(day=1)
        else:
            following = start + timedelta(days=7 if self.period == "week" else 1)
        return datetime.combine(following, time.min, self.zone)


@dataclass(slots=True)
class Slots:
    """Calls under way: nothing is used, all is held."""

    held: Amount = 0

    def used(self, now: Now) -> Amount:
        del now
        return 0

    def add(self, amount: Amount, now: Now) -> None:
        del amount, now

    def seconds_until(self, room: Amount, most: Amount, now: Now) -> float:
        del room, most, now
        return 1.0


MOST_BUCKETS = 50_000
"""Of one rule; what comes beyond shares one bucket, and so cannot escape the limit."""
OTHERS = "(others)"
SWEEP_SECONDS = 10.0
"""Between two sweeps, each of which looks at all buckets."""


class Buckets:
    """The accounts of one rule, by user, key or whatever it counts by."""

    def __init__(self) -> None:
        self._by_name: dict[str, Account] = {}
        self._swept = float("-inf")
        self.charged = False
        """The past is in it."""

    def __iter__(self) -> Iterator[tuple[str, Account]]:
        return iter(self._by_name.items())

    def of(self, name: str, fresh: Callable[[], Account], now: Now) -> Account:
        """The bucket of this name, else a fresh one as such."""
        found = self._by_name.get(name)
        if found is not None:
            return found
        if len(self._by_name) >= MOST_BUCKETS:
            self._sweep(now)
        if len(self._by_name) >= MOST_BUCKETS:
            name = OTHERS
        return self._by_name.setdefault(name, fresh())

    def _sweep(self, now: Now) -> None:
        """Forget those that hold and use nothing, once in a while."""
        if abs(now.monotonic - self._swept) < SWEEP_SECONDS:
            return
        self._swept = now.monotonic
        idle = [n for n, account in self._by_name.items() if not account.held + account.used(now)]
        for name in idle:
            del self._by_name[name]
