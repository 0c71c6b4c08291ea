"""Conditions: when a rule concerns a call.

Owns the closed list of conditions and what each means. Pure: what is known of the call comes in,
the first condition that is not met comes out. All conditions of a rule must be met; within one
condition one of its patterns suffices.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, time
from fnmatch import translate
from functools import lru_cache
from typing import Annotated, Literal, Protocol
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from proxy.rules.difficulty import Difficulty
from proxy.sections import Section, Share, Words

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Known(Protocol):
    """What conditions may ask about a call."""

    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str | None: ...
    @property
    def operation(self) -> str | None: ...
    @property
    def stream(self) -> bool | None: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def key(self) -> str | None:
        """The name of the virtual key, else the hash of the credential."""

    @property
    def input_tokens(self) -> int | None:
        """An estimate."""

    @property
    def difficulty(self) -> Difficulty | None: ...
    @property
    def now(self) -> datetime: ...
    def budget_used(self, name: str) -> float:
        """The share of a budget that is used; 0 where nothing is known of it."""


def _clock_time(value: str) -> str:
    try:
        time.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a time of day like 22:30") from None
    return value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError("must be a time zone like Europe/Vienna or UTC") from None
    return name


ClockTime = Annotated[str, AfterValidator(_clock_time)]
Zone = Annotated[str, AfterValidator(_zone)]


class Tokens(Section):
    """Of the prompt, estimated at four characters a token."""

    over: Annotated[int, Field(ge=0)] | None = None
    at_most: Annotated[int, Field(ge=0)] | None = None


class BudgetUsed(Section):
    """More than this share of the named budget is used."""

    budget: str
    over: Share


class Hours(Section):
    """From a time of day until before another, past midnight where it is not the later one. The
    days are those on which the span begins."""

    start: ClockTime = "00:00"
    end: ClockTime = "00:00"
    days: Annotated[tuple[Day, ...], BeforeValidator(tuple)] = DAYS
    zone: Zone = "UTC"


class When(Section):
    """The conditions of a rule; none: it concerns every call."""

    provider: Words | None = None
    model: Words | None = None
    operation: Words | None = None
    feature: Words | None = None
    user: Words | None = None
    session: Words | None = None
    environment: Words | None = None
    tags: dict[str, Words] = Field(default_factory=dict)
    key: Words | None = None
    stream: bool | None = None
    input_tokens: Tokens | None = None
    difficulty_below: Annotated[int, Field(ge=1, le=100)] | None = None
    """How hard the task looks, from 0 to 100: see difficulty.py."""
    budget_used: BudgetUsed | None = None
    hours: Hours | None = None


LABELS = {
    "feature": "feature",
    "user": "user_id",
    "session": "session_id",
    "environment": "environment",
}
"""Conditions on labels, and the label that each one asks for."""
PATTERNS = ("provider", "key", *LABELS, "operation", "model")
"""Conditions that hold patterns, the cheap ones first: `*` any characters, `?` one, `[ab]` one of
them."""
Test = Callable[[Known], str | None]
"""None where it is met, else why not."""


@lru_cache(maxsize=4096)
def pattern(glob: str) -> re.Pattern[str]:
    """Case counts. Globs translate to expressions that never backtrack far: no user input is ever
    an expression."""
    return re.compile(translate(glob))


def made_ready(when: When) -> tuple[Test, ...]:
    """The conditions as functions, in the order in which they are asked."""
    found: list[Test] = []
    for name in PATTERNS:
        if (globs := getattr(when, name)) is not None:
            found.append(_any_of(name, globs))
    found += [_any_of(f"tags.{name}", globs) for name, globs in when.tags.items()]
    if when.stream is not None:
        found.append(_streamed(when.stream))
    if when.hours is not None:
        found.append(_within(when.hours))
    if when.budget_used is not None:
        found.append(_used(when.budget_used))
    if when.input_tokens is not None:
        found.append(_sized(when.input_tokens))
    if when.difficulty_below is not None:
        found.append(_easier(when.difficulty_below))
    return tuple(found)


def unmet(found: tuple[Test, ...], call: Known) -> str | None:
    """Why the rule does not concern the call; None where it does."""
    for test in found:
        if (reason := test(call)) is not None:
            return reason
    return None


def _is_plain(glob: str) -> bool:
    return set(glob).isdisjoint("*?[")


def _any_of(name: str, globs: tuple[str, ...]) -> Test:
    literal, begins, others = set(), [], []
    for glob in globs:
        if _is_plain(glob):
            literal.add(glob)
        elif glob.endswith("*") and _is_plain(glob[:-1]):
            begins.append(glob[:-1])
        else:
            others.append(translate(glob))
    matches = re.compile("|".join(others)).match if others else lambda _: None
    beginnings = tuple(begins)
    label = LABELS.get(name, name if "." in name else None)

    def test(call: Known) -> str | None:
        value = getattr(call, name) if label is None else call.labels.get(label)
        if value is None:
            pass
        elif value in literal or value.startswith(beginnings) or matches(value):
            return None
        return f"{name} is {value or 'unknown'}, not {' or '.join(globs)}"

    return test


def _streamed(wanted: bool) -> Test:
    def test(call: Known) -> str | None:
        return None if bool(call.stream) is wanted else f"stream is {bool(call.stream)}"

    return test


def _within(hours: Hours) -> Test:
    zone = ZoneInfo(hours.zone)
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    past_midnight = start >= end

    def test(call: Known) -> str | None:
        now = call.now.astimezone(zone)
        at, day = now.time(), now.weekday()
        early = past_midnight and at < end
        inside = early or (at >= start and (past_midnight or at < end))
        begun = DAYS[(day - 1) % 7 if early and at < start else day]
        if inside and begun in hours.days:
            return None
        return f"it is {DAYS[day]} {at:%H:%M} in {hours.zone}"

    return test


def _used(condition: BudgetUsed) -> Test:
    def test(call: Known) -> str | None:
        used = call.budget_used(condition.budget)
        return None if used > condition.over else f"{used:.0%} of {condition.budget} is used"

    return test


def _sized(tokens: Tokens) -> Test:
    def test(call: Known) -> str | None:
        size = call.input_tokens
        if size is None:
            return "the prompt's size is unknown"
        if tokens.over is not None and size <= tokens.over:
            return f"the prompt has about {size} tokens, not over {tokens.over}"
        if tokens.at_most is not None and size > tokens.at_most:
            return f"the prompt has about {size} tokens, over {tokens.at_most}"
        return None

    return test


def _easier(bound: int) -> Test:
    def test(call: Known) -> str | None:
        found = call.difficulty
        if found is None:
            return "the task's difficulty is unknown"
        return None if found.score < bound else f"{found}, not below {bound}"

    return test
