"""What each rule saw and decided for one exchange.

Owns putting together what was recorded (the decisions and attempts of then) and what the rules of
now say of the same call: which conditions it meets, and the first that it does not. Limits and
budgets are as full as they were then: what was used before the exchange is counted, as recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb

from analytics.prices import PriceBook
from analytics.queries import Selection
from analytics.simulation.recorded import Replayed, looks_at_bodies, replayed
from analytics.simulation.replay import CHECKED, Pinned, Replay
from analytics.simulation.warmup import look_back
from analytics.windows import Window
from proxy.rules.conditions import made_ready
from proxy.rules.faults import ALL_ACT
from proxy.rules.settings import KINDS, Rule

_TICK = timedelta(microseconds=1)
_BEFORE = KINDS[: KINDS.index("route") + 1]
"""Kinds that see the call where its client sent it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One rule and one exchange."""

    rule: str
    kind: str
    concerns: bool
    saw: str
    """Why it concerns the call, or the first condition that is not met."""
    decided: str
    """What it does about it now; empty: nothing."""
    recorded: str
    """What it did then; empty: nothing."""


def explained(
    con: duckdb.DuckDBPyConnection,
    rules: Sequence[Rule],
    book: PriceBook,
    exchange: dict[str, Any],
    decisions: Sequence[dict[str, Any]],
    pinned: Pinned = lambda *_: CHECKED,
) -> list[Explained]:
    """A line for each rule, in the order in which a call meets them."""
    replay, call = _then(con, rules, book, exchange, pinned)
    provider, model = call.provider, call.model
    replay.begin(call)
    asked = Replayed(call.row, call.asked, provider, model, call.budgets)
    first: set[str] = set()
    return [
        _explained(rule, asked if rule.kind in _BEFORE else call, call, decisions, first)
        for rule in sorted(rules, key=lambda rule: KINDS.index(rule.kind))
    ]


def _then(
    con: duckdb.DuckDBPyConnection,
    rules: Sequence[Rule],
    book: PriceBook,
    exchange: dict[str, Any],
    pinned: Pinned,
) -> tuple[Replay, Replayed]:
    """The rules with what was used before the exchange began, and the exchange as a call."""
    replay, at = Replay(rules, book, pinned), exchange["started_at"]
    since = look_back(replay.rules, at)
    if since is not None:
        for call in replayed(con, _between(since, at), bodies=False):
            replay.past(call)
    bodies = looks_at_bodies(replay.rules)
    for call in replayed(con, _between(at, at + _TICK), bodies=bodies):
        if call.row["exchange_id"] == str(exchange["exchange_id"]):
            return replay, call
    raise LookupError(exchange["exchange_id"])


def _between(since: datetime, until: datetime) -> Selection:
    return Selection(window=Window(since=since, until=until))


def _explained(
    rule: Rule,
    seen: Replayed,
    call: Replayed,
    decisions: Sequence[dict[str, Any]],
    first: set[str],
) -> Explained:
    """`seen` is the call as the rule sees it, which an earlier one may have moved; `first` has the
    kinds of which a rule was met: of most, only that one acts."""
    told = "; ".join(f"{d['action']} ({d['reason']})" for d in decisions if d["rule"] == rule.name)
    now = "; ".join(f"{d.action} ({d.reason})" for d in call.decisions if d.rule == rule.name)
    concerns, saw = False, "it is disabled"
    if rule.enabled:
        concerns, saw = _saw(rule, seen)
        if concerns and rule.kind in first:
            concerns, saw = False, "a rule of its kind before it concerns the call"
        if concerns and rule.kind not in ALL_ACT:
            first.add(rule.kind)
    return Explained(
        rule=rule.name, kind=rule.kind, concerns=concerns, saw=saw, decided=now, recorded=told
    )


def _saw(rule: Rule, call: Replayed) -> tuple[bool, str]:
    """Whether all conditions are met; the first that is not."""
    tests = made_ready(rule.when)
    for test in tests:
        if (reason := test(call)) is not None:
            return False, reason
    if not tests:
        return True, "it concerns every call"
    return True, f"all {len(tests)} conditions are met" if len(
        tests
    ) > 1 else "its condition is met"
