"""Retries: the same attempt again, where that is safe and may help.

Owns the decision after each attempt, the waiting and the share of retries an upstream gets.
Refuses to act once a piece of the answer is on its way: what it gets has not left yet.

A wait is drawn evenly from nought to a bound that doubles (exponential backoff with full jitter);
where the provider says how long to wait, that comes first, capped.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from proxy.calls import retry_after, safety
from proxy.calls.call import Call, Next, Open, Reply
from proxy.calls.tried import Tried
from proxy.errors import AttemptFailed, NotSent
from proxy.memory import Memory
from proxy.rules.choosing import Rules
from proxy.rules.settings import Retry

RESERVE = 10.0
"""Retries that an upstream may have at once, whatever its traffic."""


class Share:
    """What an upstream has left of its retries: each call adds a share of one, each takes one."""

    def __init__(self) -> None:
        self.left = RESERVE

    def add(self, share: float) -> None:
        if self.left < RESERVE:
            self.left = min(RESERVE, self.left + share)

    def take(self) -> bool:
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Try again after a wait."""

    wait_seconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enough:
    """Leave it at that; `reason` is None where there is nothing to explain."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What an attempt brought, as far as the decision needs it."""

    what: int | AttemptFailed
    wanted_seconds: float | None = None
    """Retry-After."""
    verdict: bool | None = None
    """The provider's own word on whether to try again."""

    def __str__(self) -> str:
        return str(self.what) if isinstance(self.what, int) else self.what.error_type


def decide(
    rule: Retry,
    number: int,
    happened: Happened,
    *,
    repeatable: bool,
    seconds_left: float,
    draw: Callable[[float, float], float],
) -> Again | Enough:
    """What to do after attempt `number` (from 1)."""
    if isinstance(happened.what, Open):
        return Enough()
    if isinstance(happened.what, int) and happened.what not in rule.on and not happened.verdict:
        return Enough()
    if happened.verdict is False:
        return Enough(reason=f"{happened}: the provider says not to try again")
    if not repeatable:
        return Enough(reason=f"{happened}: it may have been served, and once is enough")
    if number >= rule.attempts:
        return Enough(reason=f"{happened}: {number} attempts were made")
    wait = draw(0.0, min(rule.longest_wait_seconds, rule.first_wait_seconds * 2 ** (number - 1)))
    wanted = happened.wanted_seconds
    if wanted is not None:
        wait = min(rule.longest_wait_seconds, wanted + wait)
    if wait > seconds_left:
        return Enough(reason=f"{happened}: no time is left for a wait of {wait:.1f} s")
    asked = f", Retry-After {wanted:g} s" if wanted is not None else ""
    return Again(wait_seconds=wait, reason=f"{happened}{asked}")


class RetryPolicy:
    """Tries again by the first rule that concerns the call."""

    def __init__(self, rules: Rules[Retry], memory: Memory) -> None:
        self._rules = rules
        self._memory = memory

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        ready = self._rules.first(call)
        if ready is None:
            return await next_step(call)
        share = self._memory.of(Share, call.upstream)
        share.add(ready.does.share)
        number = 0
        while True:
            number += 1
            try:
                reply = await next_step(call)
            except AttemptFailed as failure:
                result = Tried(None, failure, failure)
            else:
                if (what := reply.counts_as) < 400:
                    return reply
                result = Tried(reply, None, what)
            step = self._decided(ready.does, call, number, _happened(result), share)
            if isinstance(step, Enough):
                if step.reason:
                    call.decide("retry", ready.name, "gave up", step.reason)
                return result.give()
            result.close()
            wait = f"attempt {number + 1} after {step.wait_seconds:.2f} s"
            call.decide("retry", ready.name, wait, step.reason)
            await asyncio.sleep(step.wait_seconds)

    def _decided(
        self, rule: Retry, call: Call, number: int, happened: Happened, share: Share
    ) -> Again | Enough:
        step = decide(
            rule,
            number,
            happened,
            repeatable=_repeatable(rule, call, happened.what),
            seconds_left=call.seconds_left(),
            draw=random.uniform,
        )
        if isinstance(step, Again) and not share.take():
            return Enough(reason=f"{happened}: {call.upstream} has used its share of retries")
        return step


def _repeatable(rule: Retry, call: Call, happened: int | AttemptFailed) -> bool:
    if not call.body.whole and not isinstance(happened, NotSent):
        return False
    operation = call.asked.operation
    idempotent = safety.idempotent(call.method, call.raw)
    return safety.may_repeat(
        happened, idempotent=idempotent, operation=operation, unsure=rule.unsure
    )


def _happened(result: Tried) -> Happened:
    reply = result.reply
    return Happened(
        what=result.what,
        wanted_seconds=result.wanted_seconds,
        verdict=retry_after.verdict(reply.headers) if reply else None,
    )
