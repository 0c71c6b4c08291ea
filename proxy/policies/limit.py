"""Limits and budgets: how much a user, a key, a feature, a model or all together may use.

Owns the check before a call and the charge after it. All limits are checked before any is charged,
with no wait in between; what a call is expected to use is held until its end, when what it really
used takes its place. A refused call charges nothing, and whatever ends a call, what was held for
it comes back. Beyond a limit goes at most what calls under way use above what was held for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from functools import partial

from proxy.calls.call import Call, KnownOfCall, Next, Reply
from proxy.calls.watched import WatchedReply
from proxy.errors import Refusal
from proxy.limits.accounts import Now
from proxy.limits.claims import (
    EVERY_LABEL,
    Claim,
    budget_meter,
    expected,
    limit_meters,
    refused,
    whose_of,
)
from proxy.limits.money import Price
from proxy.limits.rates import Rates
from proxy.limits.settlement import OF_THE_ANSWER, Settlement, present, settle
from proxy.memory import Memory
from proxy.rules.choosing import Rules
from proxy.rules.settings import Budget, Limit

HEADER = b"meterline-budget"


class LimitPolicy:
    """Holds, lets through, and settles."""

    def __init__(
        self, limits: Rules[Limit], budgets: Rules[Budget], memory: Memory, price: Price | None
    ) -> None:
        self._limits = limits
        self._budgets = budgets
        self._bounds = {ready.name: limit_meters(memory, ready) for ready in limits}
        self._money = {ready.name: budget_meter(memory, ready) for ready in budgets}
        self._rates = Rates(price)

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        now = present()
        if self._money:
            call = call.but(budgets=partial(self._share, call))
        claims = [*self._limit_claims(call, now), *self._budget_claims(call, now)]
        if not claims:
            return await next_step(call)
        if (over := refused(claims, now)) is not None:
            raise _refusal(call, over, now)
        warnings = [claim for claim in claims if claim.warns(now)]
        for claim in warnings:
            call.decide("limit", claim.meter.rule, "warned", f"{claim.share(now):.0%} is used")
        for claim in claims:
            claim.account.held += claim.amount
        try:
            reply = await next_step(call)
        except BaseException as error:
            requests = 0 if isinstance(error, Refusal) else 1
            settle(claims, {"requests": requests, "tokens": 0, "usd": 0})
            raise
        more = [(HEADER, f"{c.meter.rule} {c.share(now):.0%}".encode()) for c in warnings]
        copied = any(claim.meter.unit in OF_THE_ANSWER for claim in claims)
        ended = Settlement(claims, call, reply, self._rates)
        return WatchedReply(reply, ended, copied=copied, more=more)

    def _limit_claims(self, call: Call, now: Now) -> Iterator[Claim]:
        known = KnownOfCall(call)
        for ready in self._limits.all(known):
            whose = whose_of(ready.does.per, known, EVERY_LABEL)
            for meter in self._bounds[ready.name]:
                amount = 1
                if meter.unit == "tokens":
                    amount = sum(expected(call.asked, ready.does.expected_output_tokens))
                yield meter.claim(whose, amount, now)

    def _budget_claims(self, call: Call, now: Now) -> Iterator[Claim]:
        known = KnownOfCall(call)
        for ready in self._budgets.all(known):
            asked = call.asked
            given, made = expected(asked, ready.does.expected_output_tokens)
            model = asked.model
            amount = self._rates.expected(call.upstream, model, asked.operation, given, made)
            if amount is None and ready.does.unpriced == "refuse":
                call.decide("limit", ready.name, "refused", "its cost is unknown")
                message = f"{model or 'this call'} has no price, and the budget wants one"
                raise Refusal(f"{ready.name}: {message}", 403, "unpriced")
            whose = whose_of(ready.does.per, known, call.pinned)
            yield self._money[ready.name].claim(whose, amount or Decimal(0), now)

    def _share(self, call: Call, name: str) -> float:
        """How much of a budget is used, for the conditions of a call."""
        now = present()
        for ready in self._budgets:
            if ready.name == name:
                whose = whose_of(ready.does.per, KnownOfCall(call), call.pinned)
                return self._money[name].claim(whose, 0, now).share(now)
        return 0.0


def _refusal(call: Call, over: Claim, now: Now) -> Refusal:
    meter = over.meter
    seconds = max(1, math.ceil(over.wait(now)))
    what = f"${meter.most:f}" if meter.unit == "usd" else f"{meter.most} {meter.unit}"
    if meter.unit == "concurrent":
        what = f"{meter.most} calls at a time"
    used = f"{over.share(now):.0%} of {what} is used by {over.whose}"
    call.decide("limit", meter.rule, "refused", used)
    kind = "budget_used_up" if meter.unit == "usd" else "limit_reached"
    message = f"{meter.rule}: {used}. Try again in {seconds} s"
    return Refusal(message, 429, kind, retry_after=seconds)
