"""The circuit breaker: an upstream that mostly fails is left alone for a while.

Owns one circuit for each upstream. Closed, it counts; open, it lets nothing through; half-open, it
lets a few probes through, whose success closes it and whose failure opens it again. A client that
leaves is no failure of the upstream, and no success.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from proxy.call import Call, KnownOfCall, Next, Open, Reply
from proxy.errors import AttemptFailed, Refusal
from proxy.memory import Memory
from proxy.rules.choosing import Rules
from proxy.rules.settings import Breaker
from proxy.tried import Tried, tried

RETRY_AFTER_TIMES = 10
"""A Retry-After keeps it open for at most so many times `open_seconds`."""


class Passage(Enum):
    """How a call may go through."""

    NORMAL = "normal"
    PROBE = "probe"
    SHUT = "shut"


@dataclass(slots=True)
class Circuit:
    """The state of one upstream. Times are those of one monotonic clock."""

    recent: deque[tuple[float, bool]] = field(default_factory=deque)
    """When calls ended, and whether they failed."""
    failures: int = 0
    open_until: float | None = None
    """None: closed. Past: half-open."""
    probing: int = 0
    probed: int = 0
    """Probes that succeeded since it was half-open."""

    @property
    def failure_rate(self) -> float:
        return self.failures / len(self.recent) if self.recent else 0.0

    def passage(self, rule: Breaker, now: float) -> Passage:
        if self.open_until is None:
            return Passage.NORMAL
        if now < self.open_until or self.probing >= rule.probes:
            return Passage.SHUT
        return Passage.PROBE

    def ended(self, rule: Breaker, now: float, *, failed: bool, wanted: float | None) -> bool:
        """A call ended; whether the circuit opened by it. `wanted`: the Retry-After."""
        self.recent.append((now, failed))
        self.failures += failed
        while self.recent and self.recent[0][0] < now - rule.window_seconds:
            self.failures -= self.recent.popleft()[1]
        if self.open_until is not None or not failed:
            return False
        if len(self.recent) < rule.minimum or self.failure_rate < rule.failure_rate:
            return False
        self._open(rule, now, wanted)
        return True

    def probe_ended(self, rule: Breaker, now: float, *, failed: bool, wanted: float | None) -> bool:
        """A probe ended; whether the circuit closed by it."""
        if self.open_until is None:
            return False
        if failed:
            self._open(rule, now, wanted)
            return False
        self.probed += 1
        if self.probed < rule.probes:
            return False
        self.open_until = None
        self.recent.clear()
        self.failures = 0
        return True

    def _open(self, rule: Breaker, now: float, wanted: float | None) -> None:
        longest = rule.open_seconds * RETRY_AFTER_TIMES
        self.open_until = now + max(rule.open_seconds, min(wanted or 0.0, longest))
        self.probed = 0


class BreakerPolicy:
    """Guards each upstream by the first rule that concerns the call there."""

    def __init__(self, rules: Rules[Breaker], memory: Memory) -> None:
        self._rules = rules
        self._memory = memory

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        ready = self._rules.first(KnownOfCall(call))
        if ready is None:
            return await next_step(call)
        rule, circuit = ready.does, self._memory.of(Circuit, call.upstream)
        now = time.monotonic()
        passage = circuit.passage(rule, now)
        if passage is Passage.SHUT and not call.forced:
            raise _shut(call, circuit, ready.name, now)
        if passage is not Passage.NORMAL:
            action = "let a probe through" if passage is Passage.PROBE else "let it through"
            reason = f"{call.upstream} was left alone long enough"
            if passage is Passage.SHUT:
                reason = "all upstreams are open, this one is the least bad"
            call.decide("breaker", ready.name, action, reason)
        if passage is Passage.PROBE:
            return await self._probe(call, next_step, ready.name, rule, circuit)
        result = await tried(call, next_step)
        failed, wanted = _judged(rule, result)
        opened = circuit.ended(rule, time.monotonic(), failed=failed, wanted=wanted)
        if opened:
            count = f"{circuit.failures} of {len(circuit.recent)} calls failed"
            call.decide("breaker", ready.name, f"opened {call.upstream}", count)
        return result.give()

    async def _probe(
        self, call: Call, next_step: Next, name: str, rule: Breaker, circuit: Circuit
    ) -> Reply:
        circuit.probing += 1
        try:
            result = await tried(call, next_step)
        finally:
            circuit.probing -= 1
        failed, wanted = _judged(rule, result)
        if circuit.probe_ended(rule, time.monotonic(), failed=failed, wanted=wanted):
            call.decide("breaker", name, f"closed {call.upstream}", "its probes succeeded")
        return result.give()


def _shut(call: Call, circuit: Circuit, name: str, now: float) -> Open:
    seconds = max(0.0, (circuit.open_until or now) - now)
    reason = f"{circuit.failure_rate:.0%} of its recent calls failed"
    call.decide("breaker", name, f"did not ask {call.upstream}", reason)
    return Open(
        f"{call.upstream} fails too often and is left alone for {seconds:.0f} s more",
        seconds,
        circuit.failure_rate,
    )


def _judged(rule: Breaker, result: Tried) -> tuple[bool, float | None]:
    """Whether it is a failure of the upstream, and the Retry-After."""
    what = result.what
    if isinstance(what, AttemptFailed):
        return not isinstance(what.__cause__, Refusal), None  # else the client's body was bad
    return what in rule.on, result.wanted_seconds if what in rule.on else None
