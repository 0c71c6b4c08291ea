"""Limits and budgets: how much a user, a key, a feature, a model or all together may use.

Owns the check before a call and the charge after it. All limits are checked before any is charged,
with no wait in between; what a call is expected to use is held until its end, when what it really
used takes its place. A refused call charges nothing; one that was sent and has no answer is charged
its prompt. Whatever ends a call, what was held for it comes back. Beyond a limit goes at most what
calls under way use above what was held for them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from proxy.calls.call import Call, Next, Reply
from proxy.calls.watched import WatchedReply
from proxy.errors import Refusal
from proxy.limits import unanswered
from proxy.limits.accounts import Now
from proxy.limits.claiming import OF_THE_ANSWER, Claiming, Unpriced
from proxy.limits.claims import Claim, refused
from proxy.limits.money import Price
from proxy.limits.rates import Rates
from proxy.limits.settlement import ONE_REQUEST, Settlement, Used, present, settle
from proxy.memory import Memory
from proxy.rules.choosing import Rules
from proxy.rules.settings import Budget, Limit

HEADER = b"meterline-budget"


class LimitPolicy:
    """Holds, lets through, and settles."""

    def __init__(
        self,
        limits: Rules[Limit],
        budgets: Rules[Budget],
        memory: Memory,
        price: Price | None,
        *,
        tells_shares: bool,
    ) -> None:
        """`tells_shares`: conditions ask how much of a budget is used."""
        self._tells_shares = tells_shares
        self._claiming = Claiming(limits, budgets, memory)
        self._rates = Rates(price)

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        now = present()
        if self._tells_shares:
            call = call.but(budgets=partial(self._share, call))
        try:
            claims = self._claiming.claims(call, call.asked, call.pinned, self._rates, now)
        except Unpriced as error:
            call.decide("limit", error.rule, "refused", "its cost is unknown")
            raise Refusal(str(error), 403, "unpriced") from None
        if not claims:
            return await next_step(call)
        warnings = self._hold(call, claims, now)
        try:
            reply = await next_step(call)
        except BaseException as error:
            settle(claims, self._without_answer(call, claims, error), present())
            raise
        if not self._claiming.reads_answer(claims):
            reply.when_ended(lambda: settle(claims, ONE_REQUEST, present()))
            return reply
        more = [(HEADER, f"{c.meter.rule} {c.share(now):.0%}".encode()) for c in warnings]
        return WatchedReply(reply, Settlement(claims, call, reply, self._rates), more)

    def _hold(self, call: Call, claims: Sequence[Claim], now: Now) -> list[Claim]:
        """Hold what the call may use, and tell which budgets warn. Raises Refusal."""
        if (over := refused(claims, now)) is not None:
            raise _refusal(call, over, now)
        warnings = []
        for claim in claims:
            if claim.meter.warn_at is not None and claim.warns(now):
                warnings.append(claim)
                call.decide("limit", claim.meter.rule, "warned", f"{claim.share(now):.0%} is used")
            claim.account.held += claim.amount
            if not claim.priced:
                uncounted = "let it through uncounted", "its cost is unknown"
                call.decide("limit", claim.meter.rule, *uncounted)
        return warnings

    def _without_answer(self, call: Call, claims: Sequence[Claim], end: BaseException) -> Used:
        """What a call used that ends so, before its answer."""
        found = None
        try:
            found = unanswered.charge(call, end, self._rates)
        except Exception:  # a parser's fault must not reach the traffic
            return ONE_REQUEST
        if found is None:
            return {"requests": 0 if isinstance(end, Refusal) else 1, "tokens": 0, "usd": 0}
        by_answer = (c.meter.rule for c in claims if c.meter.unit in OF_THE_ANSWER)
        if (rule := next(by_answer, None)) is not None:
            call.decide(unanswered.POLICY, rule, unanswered.ACTION, str(found))
        return {"requests": 1, "tokens": found.tokens, "usd": found.usd}

    def _share(self, call: Call, name: str) -> float:
        """How much of a budget is used, for the conditions of a call."""
        return self._claiming.share(name, call, call.pinned, present())


def _refusal(call: Call, over: Claim, now: Now) -> Refusal:
    meter = over.meter
    wait, used = over.wait(now), over.told(now)
    seconds = None if math.isinf(wait) else max(1, math.ceil(wait))
    call.decide("limit", meter.rule, "refused", used)
    kind = "budget_used_up" if meter.unit == "usd" else "limit_reached"
    again = "That never fits" if seconds is None else f"Try again in {seconds} s"
    message = f"{meter.rule}: {used}. {again}"
    return Refusal(message, 429, kind, retry_after=seconds)
