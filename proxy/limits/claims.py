"""Claims: what a call is expected to use of each limit, and whose limit that is.

Owns the estimate before the call and the choice of the account. Pure but for making accounts on
first use.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from proxy.calls.asked import Asked
from proxy.limits.accounts import Account, Amount, Buckets, Calendar, Now
from proxy.memory import Memory
from proxy.rules.choosing import Ready
from proxy.rules.conditions import Known
from proxy.rules.settings import Budget

_OUTPUT_MEMBERS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_INNER_OUTPUT = (("generationConfig", "maxOutputTokens"), ("inferenceConfig", "maxTokens"))
_LABELS = {"user": "user_id", "feature": "feature"}
EVERY_LABEL = frozenset(_LABELS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one call wants of one account."""

    rule: str
    account: Account
    unit: str
    amount: Amount
    most: Amount
    whose: str
    hard: bool = True
    warn_at: Amount | None = None

    def fits(self, now: Now) -> bool:
        return self.account.used(now) + self.account.held + self.amount <= self.most

    def warns(self, now: Now) -> bool:
        """Whether it reaches into the last part of a budget."""
        if self.warn_at is None:
            return False
        return self.account.used(now) + self.account.held + self.amount > self.warn_at

    def wait(self, now: Now) -> float:
        """Seconds until it may fit."""
        return self.account.seconds_until(self.amount, self.most, now)

    def share(self, now: Now) -> float:
        """Of the limit, what is used and held."""
        used = self.account.used(now) + self.account.held
        return float(used) / float(self.most) if self.most else 1.0


def refused(claims: Sequence[Claim], now: Now) -> Claim | None:
    """The claim that does not fit and has longest to wait; None where all fit."""
    over = [claim for claim in claims if claim.hard and not claim.fits(now)]
    return max(over, key=lambda claim: claim.wait(now), default=None)


def budget_account(memory: Memory, ready: Ready[Budget], whose: str, now: Now) -> Account:
    rule = ready.does
    fresh = Calendar(rule.period, ZoneInfo(rule.zone))
    kept = memory.of(Buckets, f"{ready.name} usd {rule.per} {rule.period} {rule.zone}")
    return kept.of(whose, fresh, now)


def whose_of(per: str, known: Known, believed: Container[str]) -> str:
    """The bucket of a call. Labels that anyone can send do not open buckets for money: where one
    is not `believed`, the key's own bucket is used."""
    if per == "total":
        return "all"
    if per == "model":
        return known.model or "(none)"
    if per == "key" or _LABELS[per] not in believed:
        return f"key {known.key or '(none)'}"
    return f"{per} {known.labels.get(_LABELS[per], '(none)')}"


def expected(asked: Asked, output_tokens: int) -> tuple[int, int, int]:
    """Tokens in, out and in all, before the call. What it allows itself goes before the rule."""
    given = asked.roughly
    made = output_tokens if asked.brief.stream is not None else 0
    said = _allowed(asked.document)
    choices = asked.document.get("n")
    made = (said if said is not None else made) * (choices if isinstance(choices, int) else 1)
    return given, made, given + made


def _allowed(document: dict[str, Any]) -> int | None:
    values: list[Any] = [document.get(name) for name in _OUTPUT_MEMBERS]
    for outer, inner in _INNER_OUTPUT:
        if isinstance(members := document.get(outer), dict):
            values.append(members.get(inner))
    return next(
        (v for v in values if isinstance(v, int) and not isinstance(v, bool) and v > 0), None
    )
