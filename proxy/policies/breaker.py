"""The circuit breaker: an upstream that mostly fails is left alone for a while.

Owns one circuit for each upstream. Closed, it counts; open, it lets nothing through; half-open, it
lets a few probes through, whose success closes it and whose failure opens it again. A client that
leaves is no failure of the upstream, and no success.
"""

from __future__ import annotations

import math
import time

from proxy.calls.call import Call, Next, Open, Reply
from proxy.calls.tried import Tried, tried
from proxy.circuit import Circuit, Passage
from proxy.errors import DEADLINE, AttemptFailed, Refusal
from proxy.memory import Memory
from proxy.rules.choosing import Rules
from proxy.rules.settings import Breaker

LEAST_SECONDS = 1.0
"""Who is given less by a rule's deadline, because others took the time, has not failed."""


class BreakerPolicy:
    """Guards each upstream by the first rule that concerns the call there."""

    def __init__(self, rules: Rules[Breaker], memory: Memory) -> None:
        self._rules = rules
        self._memory = memory

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        ready = self._rules.first(call)
        if ready is None:
            return await next_step(call)
        rule, circuit = ready.does, self._memory.of(Circuit, call.upstream)
        now = time.monotonic()
        if circuit.open_until is not None:
            passage = circuit.passage(rule, now)
            if passage is Passage.SHUT and not call.forced:
                raise _shut(call, circuit, ready.name, now)
            _tell_passage(call, ready.name, passage)
            if passage is Passage.PROBE:
                return await self._probe(call, next_step, ready.name, rule, circuit)
        try:
            reply = await next_step(call)
        except AttemptFailed as failure:
            result = Tried(None, failure, failure)
        else:
            if (what := reply.counts_as) not in rule.on:
                circuit.ended(rule, time.monotonic(), failed=False, wanted=None)
                return reply
            result = Tried(reply, None, what)
        ended = time.monotonic()
        failed = _judged(rule, result, ended - now)
        wanted = result.wanted_seconds if failed else None
        if failed is not None and circuit.ended(rule, ended, failed=failed, wanted=wanted):
            count = f"{circuit.failures} of {len(circuit.recent)} calls failed"
            call.decide("breaker", ready.name, f"opened {call.upstream}", count)
        return result.give()

    async def _probe(
        self, call: Call, next_step: Next, name: str, rule: Breaker, circuit: Circuit
    ) -> Reply:
        circuit.probing += 1
        begun = time.monotonic()
        try:
            result = await tried(call, next_step)
        finally:
            circuit.probing -= 1
        ended = time.monotonic()
        failed = _judged(rule, result, ended - begun)
        wanted = result.wanted_seconds if failed else None
        if failed is not None and circuit.probe_ended(rule, ended, failed=failed, wanted=wanted):
            call.decide("breaker", name, f"closed {call.upstream}", "its probes succeeded")
        return result.give()


def _tell_passage(call: Call, name: str, passage: Passage) -> None:
    action = "let a probe through" if passage is Passage.PROBE else "let it through"
    reason = f"{call.upstream} was left alone long enough"
    if passage is Passage.SHUT:
        reason = "all upstreams are open, this one is the least bad"
    call.decide("breaker", name, action, reason)


def _shut(call: Call, circuit: Circuit, name: str, now: float) -> Open:
    seconds = max(0.0, (circuit.open_until or now) - now)
    reason = f"{circuit.failure_rate:.0%} of its recent calls failed"
    call.decide("breaker", name, f"did not ask {call.upstream}", reason)
    left = (
        f"left alone for {math.ceil(seconds)} s more" if seconds else "being tried by other calls"
    )
    return Open(
        f"{call.upstream} fails too often and is {left}",
        seconds,
        circuit.failure_rate,
    )


def _judged(rule: Breaker, result: Tried, lasted: float) -> bool | None:
    """Whether it is a failure of the upstream; None where it says nothing of it."""
    what = result.what
    if not isinstance(what, AttemptFailed):
        return what in rule.on
    if isinstance(what.__cause__, Refusal):  # the client's body was bad
        return None
    return None if what.error_type == DEADLINE and lasted < LEAST_SECONDS else True
