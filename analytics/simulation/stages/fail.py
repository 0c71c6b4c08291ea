"""Circuits, retries and fallbacks on recorded calls that failed, or whose upstream did.

Owns telling what would have been tried: whether that would have helped nobody knows. A call is
counted with what came of it in the end. What is safe to repeat and what a circuit lets through, the
proxy's policies say.
"""

from __future__ import annotations

from typing import NamedTuple

from analytics.simulation.recorded import Replayed
from analytics.simulation.stages import Used
from proxy.calls import safety
from proxy.circuit import Circuit, Passage
from proxy.errors import AttemptFailed, Broken, NotSent
from proxy.limits.accounts import Now
from proxy.memory import Memory
from proxy.policies import fallback, retry
from proxy.rules.choosing import Rules
from proxy.rules.settings import Breaker, Fallback, Retry

_NOT_SENT = frozenset({"connect_timeout", "connect_failed", "dns_failed", "bad_tls"})
_FAILED = frozenset({"provider_error", "upstream_failed", "timed_out"})


def happened(call: Replayed) -> int | AttemptFailed | None:
    """The failure of a recorded call as policies know it; None where the upstream did not fail."""
    row = call.row
    if row["outcome"] not in _FAILED:
        return None
    status, word = row["status"], row["error_type"] or "unknown"
    if status is not None:
        return int(status) if status >= 400 else None  # it began well: nothing is tried again
    return NotSent(word, word) if word in _NOT_SENT else Broken(word, word)


class _Through(NamedTuple):
    """How a call got through a circuit."""

    circuit: Circuit
    rule: Breaker
    passage: Passage


class BreakerStage:
    """Counts failures by upstream, and refuses what a circuit would."""

    def __init__(self, rules: Rules[Breaker], memory: Memory) -> None:
        self._rules, self._memory = rules, memory

    def past(self, call: Replayed, used: Used) -> None:
        self.begin(call)
        self.end(call, used, call.begins)

    def begin(self, call: Replayed) -> None:
        ready = self._rules.first(call)
        if ready is None:
            return
        circuit = self._memory.of(Circuit, call.provider)
        passage = circuit.passage(ready.does, call.begins.monotonic)
        if passage is Passage.SHUT:
            rate = f"{circuit.failure_rate:.0%} of its recent calls failed"
            call.decide("breaker", ready.name, f"did not ask {call.provider}", rate)
            call.becomes("blocked", ready.name, done=True)
            return
        if passage is Passage.PROBE:
            circuit.probing += 1
        call.held.append(_Through(circuit, ready.does, passage))

    def end(self, call: Replayed, used: Used, now: Now) -> None:
        del used
        for held in call.held:
            if isinstance(held, _Through):
                _ended(call, *held, now)


def _ended(call: Replayed, circuit: Circuit, rule: Breaker, passage: Passage, now: Now) -> None:
    what = None if call.moved else happened(call)
    failed = isinstance(what, AttemptFailed) or what in rule.on
    if passage is Passage.PROBE:
        circuit.probing -= 1
        circuit.probe_ended(rule, now.monotonic, failed=failed, wanted=None)
    else:
        circuit.ended(rule, now.monotonic, failed=failed, wanted=None)


class RetryStage:
    """Tells which failures would have been tried again."""

    def __init__(self, rules: Rules[Retry], memory: Memory) -> None:
        self._rules, self._memory = rules, memory

    def past(self, call: Replayed, used: Used) -> None:
        """Only the share of retries would know of it, and that fills up within a minute."""

    def begin(self, call: Replayed) -> None:
        ready = self._rules.first(call)
        if ready is None:
            return
        share = self._memory.of(retry.Share, call.provider)
        share.add(ready.does.share)
        what = None if call.moved else happened(call)
        if what is None:
            return
        unsure, operation = ready.does.unsure, call.operation
        step = retry.decide(
            ready.does,
            1,
            retry.Happened(what=what),
            repeatable=safety.may_repeat(
                what, idempotent=_idempotent(call), operation=operation, unsure=unsure
            ),
            seconds_left=float("inf"),
            draw=lambda low, high: (low + high) / 2,
        )
        if isinstance(step, retry.Again) and share.take():
            call.decide("retry", ready.name, "tried again", step.reason)
            call.becomes("tried again", ready.name)

    def end(self, call: Replayed, used: Used, now: Now) -> None:
        """Nothing is held."""


class FallbackStage:
    """Tells which failures would have gone on to another upstream."""

    def __init__(self, rules: Rules[Fallback]) -> None:
        self._rules = rules

    def past(self, call: Replayed, used: Used) -> None:
        """Fallbacks remember nothing."""

    def begin(self, call: Replayed) -> None:
        ready = self._rules.first(call)
        what = None if call.moved else happened(call)
        if ready is None or what is None:
            return
        goes_on = fallback.decide(
            ready.does,
            what,
            whole=True,
            idempotent=_idempotent(call),
            operation=call.operation,
        )
        if goes_on:
            said = what if isinstance(what, int) else what.error_type
            where = ready.does.to[0]
            call.decide("fallback", ready.name, f"moved to {where}", f"{call.provider}: {said}")
            call.becomes("moved on", ready.name)

    def end(self, call: Replayed, used: Used, now: Now) -> None:
        """Nothing is held."""


def _idempotent(call: Replayed) -> bool:
    return safety.idempotent(call.row["method"] or "POST", ())
