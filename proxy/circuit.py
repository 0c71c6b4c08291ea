"""The circuit of an upstream: how much of what it did lately failed, and whether it is left alone.

Owns the state and its changes. Pure: time is an argument, of one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from proxy.rules.settings import Breaker

RETRY_AFTER_TIMES = 10
"""A Retry-After keeps it open for at most so many times `open_seconds`."""


class Passage(Enum):
    """How a call may go through."""

    NORMAL = "normal"
    PROBE = "probe"
    SHUT = "shut"


@dataclass(slots=True)
class Circuit:
    """The state of one upstream."""

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

    def resting(self, now: float) -> bool:
        """Whether it lets nothing through."""
        return self.open_until is not None and now < self.open_until

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
