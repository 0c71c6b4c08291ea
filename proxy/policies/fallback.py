"""Fallback: the same call elsewhere, where an upstream fails.

Owns the way along the chain of destinations and its deadline. Refuses to move what may have left
something behind. Where all fail, the client gets what the first one said. Where all are left alone
by their breakers, the least bad is asked all the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxy.calls import safety
from proxy.calls.call import Call, Next, Open, Reply
from proxy.calls.destinations import Destination, Destinations
from proxy.calls.tried import Tried, tried
from proxy.errors import AttemptFailed, NotSent, Refusal
from proxy.rules.choosing import Rules
from proxy.rules.settings import Fallback


@dataclass(frozen=True, slots=True)
class Stop:
    """One destination's end: the call as it went there, and what came of it."""

    call: Call
    where: str
    result: Tried


def decide(
    rule: Fallback,
    what: int | AttemptFailed,
    *,
    whole: bool,
    idempotent: bool,
    operation: str | None,
) -> bool:
    """Whether the call goes on to the next destination after this came of one."""
    if isinstance(what, AttemptFailed) and isinstance(what.__cause__, Refusal):
        return False
    if isinstance(what, int) and what not in rule.on:
        return False
    if not whole:
        return isinstance(what, NotSent)
    unsure = rule.unsure and safety.leaves_nothing(operation)
    return safety.may_repeat(what, idempotent=idempotent, operation=operation, unsure=unsure)


class FallbackPolicy:
    """Moves calls along the first rule that concerns them."""

    def __init__(self, rules: Rules[Fallback], destinations: Destinations) -> None:
        self._rules = rules
        self._destinations = destinations

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        ready = self._rules.first(call)
        if ready is None:
            return await next_step(call)
        rule, name = ready.does, ready.name
        if rule.deadline_seconds is not None:
            deadline = time.monotonic() + rule.deadline_seconds
            if deadline < call.deadline:
                call = call.but(deadline=deadline)
        try:
            reply = await next_step(_patient(call, rule) if rule.patience_seconds else call)
        except AttemptFailed as failure:
            result = Tried(None, failure, failure)
        else:
            if (what := reply.counts_as) < 400:
                return reply
            result = Tried(reply, None, what)
        stops = [Stop(call, call.upstream, result)]
        try:
            reply = await self._along(call, next_step, rule, name, stops)
        except BaseException:
            _close(stops)
            raise
        _close(stop for stop in stops if stop.result.reply is not reply)
        return reply

    async def _along(
        self, call: Call, next_step: Next, rule: Fallback, name: str, stops: list[Stop]
    ) -> Reply:
        """The first good reply of the others, else that of the first stop. Raises its failure."""
        if not self._goes_on(call, rule, stops[0].result):
            return stops[0].result.give()
        for where in rule.to:
            moved = self._destinations.moved(call, Destination.of(where))
            if moved is None or call.seconds_left() <= 0:
                why = "no time is left" if moved else "its model cannot be changed"
                call.decide("fallback", name, f"did not ask {where}", why)
                continue
            call.decide("fallback", name, f"moved to {where}", _reason(stops))
            result = await tried(_patient(moved, rule), next_step)
            if result.good:
                return result.give()
            stops.append(Stop(moved, where, result))
            if not self._goes_on(call, rule, result):
                if not _is_error(result):
                    return result.give()
                if result.failure is not None:
                    break
        return await self._after_all(call, next_step, name, stops)

    def _goes_on(self, call: Call, rule: Fallback, result: Tried) -> bool:
        return decide(
            rule,
            result.what,
            whole=call.body.whole,
            idempotent=safety.idempotent(call.method, call.raw),
            operation=call.asked.operation,
        )

    async def _after_all(self, call: Call, next_step: Next, name: str, stops: list[Stop]) -> Reply:
        """All failed: ask the least bad where none was asked, else give what the first one said."""
        shut = [(stop, f) for stop in stops if isinstance(f := stop.result.failure, Open)]
        if len(shut) == len(stops) and call.seconds_left() > 0:
            stop, _ = min(shut, key=lambda each: (each[1].failure_rate, each[1].seconds))
            call.decide("fallback", name, f"asked {stop.where}", "the least bad of all")
            return await next_step(stop.call.but(forced=True))
        asked = next(stop for stop in stops if not isinstance(stop.result.failure, Open))
        call.trail.goes_to(asked.call.upstream, asked.call.sent_model)
        if len(stops) > 1:
            call.decide("fallback", name, f"gave the answer of {asked.where}", "all others failed")
        return asked.result.give()


def _patient(call: Call, rule: Fallback) -> Call:
    if rule.patience_seconds is None:
        return call
    return call.but(deadline=min(call.deadline, time.monotonic() + rule.patience_seconds))


def _is_error(result: Tried) -> bool:
    return not isinstance(result.what, int) or result.what >= 400


def _reason(stops: Sequence[Stop]) -> str:
    last = stops[-1]
    what = last.result.what
    return f"{last.where}: {what if isinstance(what, int) else what.error_type}"


def _close(stops: Iterable[Stop]) -> None:
    for stop in stops:
        stop.result.close()
