"""Claims: what a call is expected to use of each limit, and whose limit that is.

Owns the meters of rules that count, the estimate before the call, and the choice of the account.
Time is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from proxy.calls.asked import Asked
from proxy.limits.accounts import Account, Amount, Buckets, Calendar, Now, Sliding, Slots
from proxy.memory import Memory
from proxy.rules.choosing import Ready
from proxy.rules.conditions import Known
from proxy.rules.settings import Budget, Limit

_OUTPUT_MEMBERS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_INNER_OUTPUT = (
    ("generationConfig", "maxOutputTokens"),
    ("generation_config", "max_output_tokens"),
    ("inferenceConfig", "maxTokens"),
    ("options", "num_predict"),
)
_CHOICES = ("n", "best_of")
_INNER_CHOICES = (("generationConfig", "candidateCount"), ("generation_config", "candidate_count"))
_MOST = 1 << 31
_SAYS_OUTPUT = frozenset({*_OUTPUT_MEMBERS, *(outer for outer, _ in _INNER_OUTPUT)})
_SAYS_CHOICES = frozenset({*_CHOICES, *(outer for outer, _ in _INNER_CHOICES), "prompt"})
_MAKES_NONE = ("embeddings", "rerank", "moderation", "count_tokens")
"""Operations (their beginning) that make no tokens."""
_LABELS = {"user": "user_id", "feature": "feature"}
KEY = "key"
"""Among what is believed: the credential itself."""
EVERYTHING = frozenset({KEY, *_LABELS.values()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One bound of a rule: so many of a unit for each user, key or whatever it counts by."""

    rule: str
    unit: str
    most: Amount
    buckets: Buckets
    fresh: Callable[[], Account]
    hard: bool = True
    warn_at: Amount | None = None
    """None: it never warns."""

    def account(self, whose: str, now: Now) -> Account:
        return self.buckets.of(whose, self.fresh, now)

    def claim(self, whose: str, amount: Amount, now: Now) -> Claim:
        return Claim(self, self.buckets.of(whose, self.fresh, now), amount, whose)


@dataclass(slots=True)
class Claim:
    """What one call wants of one account. (Not frozen: some are made for each call.)"""

    meter: Meter
    account: Account
    amount: Amount
    whose: str
    priced: bool = True
    """False where nobody knows its cost: then nothing is held."""

    def reaches(self, now: Now) -> Amount:
        """How much would be used and held with it."""
        account = self.account
        return account.used(now) + account.held + self.amount

    def warns(self, now: Now) -> bool:
        """Whether it reaches into the last part of a budget."""
        return self.meter.warn_at is not None and self.reaches(now) > self.meter.warn_at

    def wait(self, now: Now) -> float:
        """Seconds until it may fit; infinite where it never does."""
        if self.amount > self.meter.most:
            return math.inf
        return self.account.seconds_until(self.amount, self.meter.most, now)

    def share(self, now: Now) -> float:
        """Of the limit, what is used and held."""
        return float(self.account.used(now) + self.account.held) / float(self.meter.most)

    def told(self, now: Now) -> str:
        """How much of what is used by whom."""
        meter = self.meter
        what = f"${meter.most:f}" if meter.unit == "usd" else f"{meter.most} {meter.unit}"
        if meter.unit == "concurrent":
            what = f"{meter.most} calls at a time"
        used = f"{self.share(now):.0%} of {what} is used by {self.whose}"
        if self.share(now) >= 1:
            return used
        if meter.unit == "tokens":
            used += f", and this call may use {self.amount}"
        elif meter.unit == "usd":
            used += f", and this call may cost ${self.amount:.6f}"
        return used


def refused(claims: Sequence[Claim], now: Now) -> Claim | None:
    """The claim that does not fit and has longest to wait; None where all fit."""
    over = None
    for claim in claims:
        if claim.reaches(now) <= claim.meter.most or not claim.meter.hard:
            continue
        if over is None or claim.wait(now) > over.wait(now):
            over = claim
    return over


def limit_meters(memory: Memory, ready: Ready[Limit]) -> list[Meter]:
    """What a limit bounds. A changed window has accounts of its own."""
    name, rule = ready.name, ready.does
    seconds = rule.window_seconds
    bounds = {"requests": rule.requests, "tokens": rule.tokens, "concurrent": rule.concurrent}
    return [
        Meter(
            rule=name,
            unit=unit,
            most=most,
            buckets=memory.of(Buckets, f"{name} {unit} {rule.per} {seconds:g}"),
            fresh=Slots if unit == "concurrent" else lambda: Sliding(seconds),
        )
        for unit, most in bounds.items()
        if most is not None
    ]


def budget_meter(memory: Memory, ready: Ready[Budget]) -> Meter:
    """The money of a budget. A changed period has accounts of its own."""
    rule, zone = ready.does, ZoneInfo(ready.does.zone)
    return Meter(
        rule=ready.name,
        unit="usd",
        most=rule.usd,
        buckets=memory.of(Buckets, f"{ready.name} usd {rule.per} {rule.period} {rule.zone}"),
        fresh=lambda: Calendar(rule.period, zone),
        hard=rule.hard,
        warn_at=rule.usd * Decimal(str(rule.soft)),
    )


def whose_of(per: str, known: Known, believed: Container[str]) -> str:
    """The bucket of a call. What anyone can send does not open buckets for money: where a label is
    not `believed`, the key's own bucket is used, and where the key is not, one for all such calls.
    """
    if (label := _LABELS.get(per)) is not None and label in believed:
        return f"{per} {known.labels.get(label, '(none)')}"
    if per == "total":
        return "all"
    if per == "model":
        return known.model or "(none)"
    return f"key {(KEY in believed and known.key) or '(none)'}"


def expected(asked: Asked, output_tokens: int) -> tuple[int, int]:
    """Tokens in and out, before the call. What it allows itself goes before the rule."""
    operation = asked.operation
    if operation is None or operation.startswith(_MAKES_NONE):
        return asked.roughly, 0
    said = allowed_output(asked.document)
    made = output_tokens if said is None else said
    return asked.roughly, made * wanted_answers(asked.document)


def wanted_answers(document: dict[str, Any]) -> int:
    """How many answers a request asks for: the provider makes and bills each, also those of
    `best_of` that it does not send."""
    if document.keys().isdisjoint(_SAYS_CHOICES):
        return 1
    found = [_number(document.get(name)) for name in _CHOICES]
    for outer, inner in _INNER_CHOICES:
        if isinstance(members := document.get(outer), dict):
            found.append(_number(members.get(inner)))
    most = max((value for value in found if value is not None), default=1)
    prompts = document.get("prompt")  # of completions: each string, or list of tokens, is one
    if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int):
        most *= len(prompts)
    return most


def allowed_output(document: dict[str, Any]) -> int | None:
    """How long an answer may be, in tokens; None where the request does not say it."""
    if document.keys().isdisjoint(_SAYS_OUTPUT):
        return None
    for name in _OUTPUT_MEMBERS:
        if (value := _number(document.get(name))) is not None:
            return value
    for outer, inner in _INNER_OUTPUT:
        members = document.get(outer)
        if isinstance(members, dict) and (value := _number(members.get(inner))) is not None:
            return value
    return None


def _number(value: Any) -> int | None:
    """A number above nought; Google takes it in quotes and with a point, too."""
    if type(value) is int:
        return value if value > 0 else None
    try:
        number = float(value) if isinstance(value, str | float) else 0.0
    except ValueError:
        return None
    return int(number) if 0 < number < _MOST and number.is_integer() else None
