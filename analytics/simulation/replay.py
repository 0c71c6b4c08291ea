"""The replay: recorded calls meet the rules, one after the other, by the clock of their time.

Owns the order of beginnings and ends, and what each call costs afterwards. What each kind of rule
does is its stage's.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from heapq import heappop, heappush
from typing import Any

import duckdb

from analytics.prices import PriceBook
from analytics.queries import Selection
from analytics.simulation.pricing import Prices
from analytics.simulation.recorded import Replayed, count, looks_at_bodies, replayed
from analytics.simulation.stages import Stage, Used
from analytics.simulation.stages.cache import CacheStage
from analytics.simulation.stages.fail import BreakerStage, FallbackStage, RetryStage
from analytics.simulation.stages.guard import GuardStage
from analytics.simulation.stages.limit import LimitStage
from analytics.simulation.stages.move import BalanceStage, RouteStage
from analytics.simulation.warmup import look_back
from analytics.windows import Window
from proxy.limits.accounts import Now
from proxy.memory import Memory
from proxy.rules.choosing import Rules
from proxy.rules.guarding import Guardrail
from proxy.rules.settings import (
    Balance,
    Breaker,
    Budget,
    Cache,
    Fallback,
    Limit,
    Retry,
    Route,
    Rule,
)

EFFECTS = (
    *("blocked", "cached", "rerouted", "moved on", "tried again", "masked", "warned", "noted"),
)
"""What can become of a call, the gravest first; a call counts with one of them."""
_NOTHING = Decimal(0)
Pinned = Callable[[str | None, str], Container[str]]
CHECKED = frozenset({"key"})
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What would have become of one exchange. `cost_there_usd` None: nobody knows."""

    call: Replayed
    cost_usd: Decimal | None
    cost_there_usd: Decimal | None

    @property
    def effect(self) -> str | None:
        return self.call.effect

    @property
    def saved_usd(self) -> Decimal | None:
        if self.cost_usd is None or self.cost_there_usd is None:
            return None
        return self.cost_usd - self.cost_there_usd


class Replay:
    """One set of rules, and what it remembers on the way."""

    def __init__(
        self, rules: Sequence[Rule], book: PriceBook, pinned: Pinned = lambda *_: CHECKED
    ) -> None:
        self.rules = [rule for rule in rules if rule.enabled]
        self.prices = Prices(book)
        self._stages = list(_stages(self.rules, self.prices, pinned))
        self._under_way: list[tuple[float, int, Replayed, Used]] = []
        self._number = 0

    def past(self, call: Replayed) -> None:
        """Count a call of before the window, which no rule was there for."""
        used = Used(tokens=call.tokens, cost_usd=call.paid_usd)
        for stage in self._stages:
            stage.past(call, used)

    def begin(self, call: Replayed) -> Verdict:
        """A call begins; those that ended before it have been settled."""
        self.settle(call.begins.monotonic)
        self.prices.now = call.now
        if _not_ours(call):
            return Verdict(call=call, cost_usd=call.paid_usd, cost_there_usd=call.paid_usd)
        for stage in self._stages:
            stage.begin(call)
            if call.done:
                break
        cost = self.prices.of(call)
        self._number += 1
        ends = call.begins.monotonic + (call.row["duration_seconds"] or 0.0)
        if call.done:
            self._end(call, Used(tokens=0, cost_usd=_NOTHING), call.begins)
        else:
            used = Used(tokens=call.tokens, cost_usd=cost)
            heappush(self._under_way, (ends, self._number, call, used))
        return Verdict(call=call, cost_usd=call.paid_usd, cost_there_usd=cost)

    def settle(self, until: float) -> None:
        """End the calls that ended by then."""
        while self._under_way and self._under_way[0][0] <= until:
            ends, _, call, used = heappop(self._under_way)
            self._end(call, used, Now(ends, datetime.fromtimestamp(ends, call.now.tzinfo)))

    def _end(self, call: Replayed, used: Used, now: Now) -> None:
        for stage in self._stages:
            stage.end(call, used, now)
        call.held.clear()


def _not_ours(call: Replayed) -> bool:
    """Whether Meterline itself answered it, and no rule: it was malformed, say."""
    return call.row["outcome"] == "refused" and not call.row["rules"]


def _stages(rules: Sequence[Rule], prices: Prices, pinned: Pinned) -> Iterator[Stage]:
    """In the order of the proxy's chain; a kind without rules has none."""
    memory = Memory()
    if guards := Rules(Guardrail, rules):
        yield GuardStage(guards)
    limits, budgets = Rules(Limit, rules), Rules(Budget, rules)
    if limits or budgets:
        yield LimitStage(limits, budgets, memory, prices.rates, pinned)
    if caches := Rules(Cache, rules):
        yield CacheStage(caches, memory)
    if routes := Rules(Route, rules):
        yield RouteStage(routes, memory, prices.price)
    if balances := Rules(Balance, rules):
        yield BalanceStage(balances)
    if fallbacks := Rules(Fallback, rules):
        yield FallbackStage(fallbacks)
    if retries := Rules(Retry, rules):
        yield RetryStage(retries, memory)
    if breakers := Rules(Breaker, rules):
        yield BreakerStage(breakers, memory)


def verdicts(
    con: duckdb.DuckDBPyConnection,
    replays: Sequence[Replay],
    selection: Selection,
    progress: Progress | None = None,
) -> Iterator[tuple[Verdict, ...]]:
    """What each of several sets of rules would have done to each exchange selected, in order.

    Only what is selected meets the rules; what was used in the running periods and windows before
    it counts.
    """
    every = [rule for each in replays for rule in each.rules]
    since = selection.window.since
    earlier = look_back(every, since) if since is not None else None
    bodies = looks_at_bodies(every)
    if earlier is not None and since is not None:
        before = replace(selection, window=Window(since=earlier, until=since))
        for call in replayed(con, before, bodies=False):
            for each in replays:
                each.past(_fresh(call))
    total = count(con, selection)
    for number, call in enumerate(replayed(con, selection, bodies=bodies), 1):
        yield tuple(each.begin(_fresh(call)) for each in replays)
        if progress is not None and number % 1_000 == 0:
            progress(number, total)
    if progress is not None:
        progress(total, total)


def _fresh(call: Replayed) -> Replayed:
    """The same call, untouched by other rules; what was read of it is shared."""
    return Replayed(call.row, call.asked, call.provider, call.model)


def describe(verdict: Verdict) -> dict[str, Any]:
    """A row of a frame."""
    call = verdict.call
    return {
        "exchange_id": call.row["exchange_id"],
        "started_at": call.now,
        "feature": call.row["feature"],
        "user_id": call.row["user_id"],
        "model": call.row["request_model"],
        "effect": verdict.effect,
        "rule": call.rule,
        "to": f"{call.provider}/{call.model or '?'}" if call.moved else None,
        "reason": call.decisions[-1].reason if call.decisions else None,
        "cost_usd": verdict.cost_usd,
        "cost_there_usd": verdict.cost_there_usd,
        "saved_usd": verdict.saved_usd,
    }
