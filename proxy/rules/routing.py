"""Routing: where route rules send a call, and whether that pays.

Owns two things that are known of a session: where a rule put it, which it keeps although its
prompts change, and how much of its last prompt a provider had in its cache, which is lost where
the next call goes elsewhere. Pure but for this memory: time is an argument. Refuses to move a call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Generic, NamedTuple, TypeVar

from proxy.facts import Usage
from proxy.limits.money import Price
from proxy.memory import Memory
from proxy.rules.choosing import Ready, Rules
from proxy.rules.conditions import Known, Test, made_ready, unmet
from proxy.rules.settings import Route

REMEMBERED = 10_000
"""Sessions; those not heard of for the longest are forgotten."""
WARM_SECONDS = 300.0
"""So long a provider's cache keeps a prompt that is not asked for again, at least."""
EXPECTED_OUTPUT_TOKENS = 500
"""Of an answer, where the session has none yet."""
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Routed(NamedTuple):
    """What the rules say of a call. `to` None: it stays where it is."""

    rule: str
    to: str | None
    reason: str


class Warmth(NamedTuple):
    """What a provider served of a session's last prompt from its cache."""

    at: float
    input_tokens: int
    cached_tokens: int
    output_tokens: int


class Bounded(OrderedDict[Key, Value], Generic[Key, Value]):
    """Forgets what was put there first."""

    def put(self, key: Key, value: Value) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > REMEMBERED:
            self.popitem(last=False)


@dataclass(slots=True)
class Sessions:
    """What is remembered, across reloads of the rules."""

    moved: Bounded[tuple[str, ...], bool] = field(default_factory=Bounded)
    """By rule, session and what was asked for: whether the rule moved it."""
    warm: Bounded[tuple[str, str, str | None], Warmth] = field(default_factory=Bounded)
    """By session, provider and model."""


class _Fixed(NamedTuple):
    """A rule with the conditions that do not look at the prompt apart."""

    ready: Ready[Route]
    apart: tuple[Test, ...] | None
    """None where no condition looks at the prompt, or no session keeps its place."""
    weighs: bool


class Routing:
    """The route rules in force."""

    def __init__(self, rules: Rules[Route], memory: Memory, price: Price | None) -> None:
        self._rules = [_prepared(ready) for ready in rules]
        self._sessions = memory.of(Sessions, "route")
        self._price = price
        self.weighs = price is not None and any(each.weighs for each in self._rules)
        """Whether it wants to be told what answers used."""
        if self.weighs and price is not None:  # loads them, so that no call waits for that
            price(provider="openai", model="gpt-4o-mini", usage=Usage(), operation="chat")

    def route(self, call: Known, now: float) -> Routed | None:
        """What the first rule that concerns the call says; None where none does."""
        for rule in self._rules:
            why = self._why(rule, call)
            if why is not None:
                to = rule.ready.does.to
                stays = self._dearer(call, to, now) if rule.weighs else None
                return Routed(rule.ready.name, to if stays is None else None, stays or why)
        return None

    def answered(
        self, session: str | None, provider: str, model: str | None, usage: Usage, now: float
    ) -> None:
        """What the answer to a call of a session used."""
        if session is None or usage.input_tokens is None:
            return
        warmth = Warmth(
            now, usage.input_tokens, usage.cache_read_tokens or 0, usage.output_tokens or 0
        )
        self._sessions.warm.put((session, provider, model), warmth)

    def _why(self, rule: _Fixed, call: Known) -> str | None:
        """Why the rule concerns the call; None where it does not."""
        asked = f"{call.provider}/{call.model or '?'} was asked for"
        ready, session = rule.ready, call.labels.get("session_id")
        if rule.apart is None or session is None:
            if unmet(ready.conditions, call) is not None:
                return None
            return _with_difficulty(ready, call, asked)
        key = (ready.name, session, call.provider, call.model or "", call.labels.get("feature", ""))
        kept = self._sessions.moved.get(key)
        if kept is not None:
            self._sessions.moved.put(key, kept)
            return f"{asked}, and its session is there" if kept else None
        if unmet(rule.apart, call) is not None:
            return None
        met = unmet(ready.conditions, call) is None
        self._sessions.moved.put(key, met)
        return _with_difficulty(ready, call, asked) if met else None

    def _dearer(self, call: Known, to: str, now: float) -> str | None:
        """Why the call stays, in sums; None where it costs less elsewhere, or nobody knows."""
        provider, _, model = to.partition("/")
        here = self._cost(call, call.provider, call.model, now)
        there = self._cost(call, provider, model or call.model, now)
        if here is None or there is None or there.usd < here.usd:
            return None
        return f"it costs {here} here, and {there} at {to}"

    def _cost(self, call: Known, provider: str, model: str | None, now: float) -> _Sum | None:
        tokens, session = call.input_tokens, call.labels.get("session_id", "")
        if self._price is None or tokens is None:
            return None
        warmth = self._sessions.warm.get((session, provider, model))
        cached, made = 0, self._output(session, call)
        if warmth is not None and now - warmth.at <= WARM_SECONDS and warmth.input_tokens:
            cached = min(tokens, tokens * warmth.cached_tokens // warmth.input_tokens)
        usage = Usage(
            input_tokens=tokens, output_tokens=made, cache_read_tokens=cached if cached else None
        )
        usd = self._price(provider=provider, model=model, usage=usage, operation=call.operation)
        return None if usd is None else _Sum(usd, cached, tokens)

    def _output(self, session: str, call: Known) -> int:
        """As many tokens as the session's last answer had, wherever the call goes."""
        known = self._sessions.warm.get((session, call.provider, call.model))
        return known.output_tokens if known is not None else EXPECTED_OUTPUT_TOKENS


class _Sum(NamedTuple):
    usd: Decimal
    cached: int
    tokens: int

    def __str__(self) -> str:
        cached = f"{self.cached:,} of {self.tokens:,} tokens cached" if self.cached else "no cache"
        return f"${self.usd:.6f} ({cached})"


def _prepared(ready: Ready[Route]) -> _Fixed:
    when, does = ready.when, ready.does
    looks = when.difficulty_below is not None or when.input_tokens is not None
    apart = None
    if looks and does.sticky == "session":
        none = {"difficulty_below": None, "input_tokens": None}
        apart = made_ready(when.model_copy(update=none))
    by_default = when.difficulty_below is not None
    return _Fixed(ready, apart, by_default if does.if_cheaper is None else does.if_cheaper)


def _with_difficulty(ready: Ready[Route], call: Known, asked: str) -> str:
    return asked if ready.when.difficulty_below is None else f"{asked}; {call.difficulty}"
