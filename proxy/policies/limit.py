"""Limits and budgets: how much a user, a key, a feature, a model or all together may use.

Owns the check before a call and the charge after it. All limits are checked before any is charged,
with no wait in between; what a call is expected to use is held until its end, when what it really
used takes its place. A refused call charges nothing, and whatever ends a call, what was held for
it comes back. Beyond a limit goes at most what calls under way use above what was held for them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from proxy.calls.call import Call, KnownOfCall, Next, Reply
from proxy.calls.watched import WatchedReply
from proxy.errors import Refusal
from proxy.limits import usage_of_reply
from proxy.limits.accounts import Account, Amount, Buckets, Now, Sliding, Slots
from proxy.limits.claims import EVERY_LABEL, Claim, budget_account, expected, refused, whose_of
from proxy.limits.money import Price
from proxy.limits.rates import Rates
from proxy.memory import Memory
from proxy.reading import Copied
from proxy.rules.choosing import Ready, Rules
from proxy.rules.settings import Budget, Limit

HEADER = b"meterline-budget"
_OF_THE_ANSWER = ("usd", "tokens")
"""Units of which the answer tells how much was used."""


class LimitPolicy:
    """Holds, lets through, and settles."""

    def __init__(
        self, limits: Rules[Limit], budgets: Rules[Budget], memory: Memory, price: Price | None
    ) -> None:
        self._limits = limits
        self._budgets = budgets
        self._memory = memory
        self._price = price
        self._buckets: dict[tuple[str, str], Buckets] = {}
        self._rates = Rates(price) if price is not None else None

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        now = _now()
        if self._budgets:
            call = call.but(budgets=_Shares(self._budgets, self._memory, call))
        claims = [*self._limit_claims(call, now), *self._budget_claims(call, now)]
        if not claims:
            return await next_step(call)
        if (over := refused(claims, now)) is not None:
            raise _refusal(call, over, now)
        warnings = [claim for claim in claims if claim.warns(now)]
        for claim in warnings:
            call.decide("limit", claim.rule, "warned", f"{claim.share(now):.0%} is used")
        for claim in claims:
            claim.account.held += claim.amount
        try:
            reply = await next_step(call)
        except BaseException as error:
            _settle(claims, {"requests": 0 if isinstance(error, Refusal) else 1})
            raise
        more = [(HEADER, f"{c.rule} {c.share(now):.0%}".encode()) for c in warnings]
        copied = any(claim.unit in _OF_THE_ANSWER for claim in claims)
        ended = _Settlement(self._price, call, reply, claims)
        return WatchedReply(reply, ended, copied=copied, more=more)

    def _limit_claims(self, call: Call, now: Now) -> Iterator[Claim]:
        for ready in self._limits.all(KnownOfCall(call)):
            rule = ready.does
            whose = whose_of(rule.per, KnownOfCall(call), EVERY_LABEL)
            wanted = {"requests": 1, "tokens": 0, "concurrent": 1}
            if rule.tokens is not None:
                wanted["tokens"] = expected(call.asked, rule.expected_output_tokens)[2]
            for unit, amount in wanted.items():
                if (most := getattr(rule, unit)) is not None:
                    account = self._account(ready, unit, whose, now)
                    yield Claim(
                        rule=ready.name,
                        account=account,
                        unit=unit,
                        amount=amount,
                        most=most,
                        whose=whose,
                    )

    def _budget_claims(self, call: Call, now: Now) -> Iterator[Claim]:
        for ready in self._budgets.all(KnownOfCall(call)):
            rule = ready.does
            whose = whose_of(rule.per, KnownOfCall(call), call.pinned)
            amount = self._expected_cost(call, rule)
            if amount is None and rule.unpriced == "refuse":
                call.decide("limit", ready.name, "refused", "its cost is unknown")
                model = call.asked.brief.model or "this call"
                message = f"{ready.name}: {model} has no price, and the budget wants one"
                raise Refusal(message, 403, "unpriced")
            yield Claim(
                rule=ready.name,
                account=budget_account(self._memory, ready, whose, now),
                unit="usd",
                amount=amount or Decimal(0),
                most=rule.usd,
                whose=whose,
                hard=rule.hard,
                warn_at=rule.usd * Decimal(str(rule.soft)),
            )

    def _account(self, ready: Ready[Limit], unit: str, whose: str, now: Now) -> Account:
        seconds = ready.does.window_seconds
        buckets = self._buckets.get((ready.name, unit))
        if buckets is None:
            name = f"{ready.name} {unit} {ready.does.per} {seconds:g}"
            buckets = self._buckets[ready.name, unit] = self._memory.of(Buckets, name)
        found = buckets.find(whose)
        if found is not None:
            return found
        return buckets.of(whose, Slots() if unit == "concurrent" else Sliding(seconds), now)

    def _expected_cost(self, call: Call, rule: Budget) -> Decimal | None:
        if self._rates is None:
            return None
        asked = call.asked
        given, made, _ = expected(asked, rule.expected_output_tokens)
        return self._rates.expected(call.upstream, asked.brief.model, asked.operation, given, made)


class _Settlement:
    """Charges what a call really used, once its answer has ended."""

    def __init__(
        self, price: Price | None, call: Call, reply: Reply, claims: Sequence[Claim]
    ) -> None:
        self._price, self._call, self._reply, self._claims = price, call, reply, claims

    def __call__(self, copy: Copied, whole: bool) -> None:
        del whole
        used: dict[str, Amount] = {"requests": 1}
        try:
            wanted = any(claim.unit in _OF_THE_ANSWER for claim in self._claims)
            if wanted and not self._reply.cached:
                used |= self._used(copy)
        finally:
            _settle(self._claims, used)

    def _used(self, copy: Copied) -> dict[str, Amount]:
        asked, trail = self._call.asked, self._call.trail
        model, usage = usage_of_reply.read(asked, self._reply, copy)
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        cost = None
        if self._price is not None and tokens:
            cost = self._price(
                provider=trail.upstream or self._call.upstream,
                model=model or trail.sent_model or asked.brief.model,
                usage=usage,
                operation=asked.operation,
            )
        return {"tokens": tokens, "usd": cost or Decimal(0)}


class _Shares:
    """How much of a budget is used, for the conditions of a call."""

    def __init__(self, budgets: Rules[Budget], memory: Memory, call: Call) -> None:
        self._budgets, self._memory, self._call = budgets, memory, call

    def __call__(self, name: str) -> float:
        now = _now()
        for ready in self._budgets:
            if ready.name == name:
                known = KnownOfCall(self._call)
                whose = whose_of(ready.does.per, known, self._call.pinned)
                account = budget_account(self._memory, ready, whose, now)
                return float(account.used(now) + account.held) / float(ready.does.usd)
        return 0.0


def _settle(claims: Sequence[Claim], used: dict[str, Any]) -> None:
    now = _now()
    for claim in claims:
        claim.account.held -= claim.amount
        if amount := used.get(claim.unit, 0):
            claim.account.add(amount, now)


def _refusal(call: Call, over: Claim, now: Now) -> Refusal:
    seconds = max(1, math.ceil(over.wait(now)))
    what = f"${over.most:f}" if over.unit == "usd" else f"{over.most} {over.unit}"
    if over.unit == "concurrent":
        what = f"{over.most} calls at a time"
    used = f"{over.share(now):.0%} of {what} is used by {over.whose}"
    call.decide("limit", over.rule, "refused", used)
    kind = "budget_used_up" if over.unit == "usd" else "limit_reached"
    message = f"{over.rule}: {used}. Try again in {seconds} s"
    return Refusal(message, 429, kind, retry_after=seconds)


def _now() -> Now:
    return Now(time.monotonic(), datetime.now(UTC))
