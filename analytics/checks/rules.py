"""Checks of rules that can be loaded: what they name, what they miss, what needs a restart.

Owns notes that need prices or a running proxy. Faults that keep rules from being loaded are the
proxy's own (proxy/rules/faults.py), and come with the settings.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from analytics.checks import Finding, fail, ok, warn
from analytics.checks.processes import health
from analytics.prices import PriceBook
from analytics.pricing.catalogue import names
from proxy.config import ConfigError, Settings
from proxy.facts import Usage
from proxy.rules.faults import covers
from proxy.rules.settings import Rule
from proxy.targets import known_targets

_SOME = Usage(input_tokens=1000, output_tokens=100)


def checked(settings: Settings, running: Settings | None) -> Iterator[Finding]:
    """Of settings that could be loaded. `running`: those in force, where the others are new."""
    active = [rule for rule in settings.rules if rule.enabled]
    off = len(settings.rules) - len(active)
    yield ok("rules", f"{len(active)} can be in force" + (f", {off} are disabled" if off else ""))
    yield from _keys(settings)
    yield from _prices(active, PriceBook.of(settings))
    yield from _tighter(active)
    yield from _budgets(active)
    yield from _restarts(settings, running) if running is not None else _in_force(settings)


def _keys(settings: Settings) -> Iterator[Finding]:
    try:
        known_targets(settings)
    except ConfigError as error:
        for line in str(error).splitlines():
            yield fail("keys", line, "A running proxy sees a new variable after a restart only.")


def _prices(rules: Sequence[Rule], book: PriceBook) -> Iterator[Finding]:
    """Models that rules send calls to and that no price knows."""
    for rule in rules:
        for to in rule.destinations():
            provider, _, model = to.partition("/")
            if not model:
                continue
            cost = book.cost(
                provider=provider,
                request_model=model,
                response_model=None,
                usage=_SOME,
                usage_source="provider",
                service_tier=None,
                operation="chat",
                started_at=datetime.now(UTC),
            )
            if cost.cost_status != "priced":
                close = difflib.get_close_matches(model, names(provider), 1)
                hint = f"Did you mean {close[0]}? Else add" if close else "Add"
                yield warn(
                    "prices",
                    f"{rule.name}: no price knows {to}, so its calls would have no cost",
                    f"{hint} its price: [[prices]].",
                )


def _tighter(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Limits and budgets that another one keeps from ever being reached."""
    for rule in rules:
        for other in rules:
            if other is not rule and _is_tighter(other, rule):
                yield warn(
                    "rules",
                    f"{rule.name}: never refuses, because {other.name} refuses earlier",
                    "Remove it, or make it the narrower one.",
                )


def _is_tighter(other: Rule, rule: Rule) -> bool:
    if other.kind != rule.kind or not covers(other.when, rule.when):
        return False
    if rule.limit is not None and other.limit is not None:
        here, there = rule.limit, other.limit
        same = (here.per, here.window_seconds) == (there.per, there.window_seconds)
        bounds = [(here.requests, there.requests), (here.tokens, there.tokens)]
        bounds.append((here.concurrent, there.concurrent))
        pairs = [(mine, theirs) for mine, theirs in bounds if mine is not None]
        return same and all(theirs is not None and theirs < mine for mine, theirs in pairs)
    if rule.budget is not None and other.budget is not None:
        mine, theirs = rule.budget, other.budget
        same = (mine.per, mine.period, mine.zone) == (theirs.per, theirs.period, theirs.zone)
        return same and theirs.hard and theirs.usd < mine.usd
    return False


def _budgets(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Conditions on a budget that refuses before they can be met."""
    hard = {rule.name for rule in rules if rule.budget is not None and rule.budget.hard}
    for rule in rules:
        used = rule.when.budget_used
        if used is not None and used.budget in hard and used.over >= 1:
            yield warn(
                "rules",
                f"{rule.name}: {used.budget} refuses calls before more than all of it is used",
                f"Lower when.budget_used.over, or set {used.budget}'s budget.hard = false.",
            )


def _restarts(new: Settings, running: Settings) -> Iterator[Finding]:
    """Settings other than rules that are not those in force."""
    before = _flat(running.model_dump(exclude={"rules", "data_dir"}))
    after = _flat(new.model_dump(exclude={"rules", "data_dir"}))
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield warn(
                "restart",
                f"{key}: {before.get(key)!r} becomes {after.get(key)!r}",
                "Rules are taken anew by a running proxy; this needs a restart.",
            )


def _flat(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = value
    return found


def _in_force(settings: Settings) -> Iterator[Finding]:
    """What the running proxy says of its rules."""
    told = (health(settings) or {}).get("rules")
    if not isinstance(told, dict):
        return
    if told.get("error"):
        yield fail("in force", f"the proxy keeps older rules: {told['error']}", "Mend the file.")
    else:
        yield ok("in force", f"the running proxy has {told.get('in_force')} rules in force")
