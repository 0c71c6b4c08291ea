"""What is wrong with rules taken together, or with what they name.

Owns the search for rules that cannot be meant as they stand: names used twice, providers nobody
knows, conditions that nothing meets, rules behind others that take all their calls. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from proxy.rules.conditions import PATTERNS, When
from proxy.rules.settings import Rule

ALL_ACT = frozenset({"guardrail", "limit", "budget"})
"""Kinds of which every rule acts that concerns a call; of the others only the first."""


def rule_faults(
    rules: Sequence[Rule], providers: Collection[str], keyless: Collection[str] = ()
) -> list[str]:
    """Each fault on a line: where, what and the mend.

    `keyless` providers want a key, and only their own clients bring one.
    """
    faults: list[str] = []
    for number, rule in enumerate(rules):
        where = f"rules[{number}] ({rule.name})"
        others = [r.name for r in rules[:number]]
        if rule.name in others:
            faults.append(f"{where}: rules[{others.index(rule.name)}] has this name. Use another.")
        faults += [f"{where}.when.{fault}" for fault in _unmeetable(rule.when, providers)]
        faults += [f"{where}.{fault}" for fault in _lost(rule, providers, keyless)]
        faults += [f"{where}.when.budget_used: {fault}" for fault in _unknown_budget(rules, rule)]
        if rule.enabled and (before := _shadowing(rules[:number], rule)):
            faults.append(
                f"{where}: never acts, because {before.name} before it takes all its calls. "
                "Put it first, or narrow the other's conditions."
            )
    return faults


def counting_faults(rules: Sequence[Rule], workers: int) -> list[str]:
    """Rules that count, where several workers would each count for themselves."""
    counting = [r for r in rules if r.enabled and r.kind in ("limit", "budget")]
    if workers == 1 or not counting:
        return []
    return [
        f"server.workers = {workers}: {counting[0].name} counts, and each worker would count for "
        "itself. Set server.workers = 1, or remove the rules that count."
    ]


def _unknown_budget(rules: Sequence[Rule], rule: Rule) -> Iterator[str]:
    """A share of a budget that no call can know."""
    used = rule.when.budget_used
    if used is None:
        return
    if used.budget not in {r.name for r in rules if r.budget and r.enabled}:
        yield f"no budget in force is named {used.budget!r}."
    if rule.guardrail is not None:
        yield "guardrails come before budgets, and know of none. Leave it out."


def _unmeetable(when: When, providers: Collection[str]) -> Iterator[str]:
    """Conditions that no call can meet."""
    for glob in when.provider or ():
        if not any(fnmatchcase(name, glob) for name in providers):
            close = difflib.get_close_matches(glob, providers, 1)
            hint = f"Did you mean {close[0]}?" if close else f"Add [providers.{glob}]."
            yield f"provider = {glob!r}: no provider has this name. {hint}"
    tokens = when.input_tokens
    if tokens is not None and tokens.over is None and tokens.at_most is None:
        yield "input_tokens: says nothing. Add over or at_most."
    elif (
        tokens is not None
        and tokens.over is not None
        and tokens.at_most is not None
        and tokens.over >= tokens.at_most
    ):
        yield (
            f"input_tokens: nothing is over {tokens.over} and at most {tokens.at_most}. "
            "Make over the smaller one."
        )
    if when.hours is not None and not when.hours.days:
        yield "hours.days: is empty. Name a day, or leave it out."


def _lost(rule: Rule, providers: Collection[str], keyless: Collection[str]) -> Iterator[str]:
    """Destinations that lead nowhere."""
    given, origins = rule.destinations(), rule.when.provider
    for number, to in enumerate(given):
        name = to.partition("/")[0]
        if name not in providers:
            close = difflib.get_close_matches(name, providers, 1)
            hint = f"Did you mean {close[0]}?" if close else f"Add [providers.{name}]."
            yield f"{rule.kind} to {to!r}: no provider is named {name}. {hint}"
        elif name in keyless and origins and not any(fnmatchcase(name, o) for o in origins):
            yield (
                f"{rule.kind} to {to!r}: clients' keys for other providers are not sent to {name}. "
                f"Set providers.{name}.api_key_env."
            )
        elif to in given[:number]:
            yield f"{rule.kind} to {to!r}: is there twice. Name each once."


def _shadowing(before: Sequence[Rule], rule: Rule) -> Rule | None:
    """The earlier rule that takes every call of this one."""
    if rule.kind in ALL_ACT:
        return None
    same = (r for r in before if r.enabled and r.kind == rule.kind)
    return next((r for r in same if covers(r.when, rule.when)), None)


def covers(wide: When, narrow: When) -> bool:
    """Whether every call that meets `narrow` meets `wide`. In doubt no."""
    for name in PATTERNS:
        if not _patterns_cover(getattr(wide, name), getattr(narrow, name)):
            return False
    if any(not _patterns_cover(globs, narrow.tags.get(tag)) for tag, globs in wide.tags.items()):
        return False
    others = ("stream", "hours", "budget_used")
    same = all(getattr(wide, n) in (None, getattr(narrow, n)) for n in others)
    bound, least = wide.difficulty_below, narrow.difficulty_below
    if bound is not None and (least is None or least > bound):
        return False
    return same and _tokens_cover(wide.input_tokens, narrow.input_tokens)


def _patterns_cover(wide: tuple[str, ...] | None, narrow: tuple[str, ...] | None) -> bool:
    if wide is None:
        return True
    return narrow is not None and all(any(_covers(w, n) for w in wide) for n in narrow)


def _covers(wide: str, narrow: str) -> bool:
    """`gpt-*` covers `gpt-4o` and `gpt-4*`; sets and `?` are compared as they are written."""
    if wide == narrow:
        return True
    if not set(narrow) & set("*?["):
        return fnmatchcase(narrow, wide)
    plain = wide.endswith("*") and not set(wide[:-1]) & set("*?[")
    return plain and narrow.startswith(wide[:-1])


def _tokens_cover(wide: Any, narrow: Any) -> bool:
    if wide is None:
        return True
    if narrow is None:
        return False
    above = wide.over is None or (narrow.over is not None and narrow.over >= wide.over)
    below = wide.at_most is None or (narrow.at_most is not None and narrow.at_most <= wide.at_most)
    return above and below
