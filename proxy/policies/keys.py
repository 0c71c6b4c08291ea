"""Keys: a provider with several keys of the proxy's serves with the next one where one is refused.

Owns which key is used and for how long a refused one rests. It stays with a key while that is
good. It needs no rule: that several keys are configured says it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.calls.call import Call, Next, Reply
from proxy.calls.tried import Tried, tried
from proxy.memory import Memory

ON = (401, 429)
REST_SECONDS = 20.0
LONGEST_REST_SECONDS = 300.0


@dataclass(slots=True)
class Ring:
    """The keys of one provider: which is in use, and until when others rest."""

    current: int = 0
    until: dict[int, float] = field(default_factory=dict)

    def usable(self, count: int, now: float) -> int:
        """The key to use: the current one, else the next that does not rest, else the one that
        rests least."""
        turns = [(self.current + step) % count for step in range(count)]
        awake = (number for number in turns if self.until.get(number, 0.0) <= now)
        self.current = next(awake, min(turns, key=lambda number: self.until.get(number, 0.0)))
        return self.current

    def rest(self, number: int, now: float, wanted: float | None) -> None:
        seconds = REST_SECONDS if wanted is None else min(wanted, LONGEST_REST_SECONDS)
        self.until[number] = now + seconds


class KeysPolicy:
    """Tries each key of a provider at most once a call."""

    def __init__(self, counts: Mapping[str, int], memory: Memory) -> None:
        self._counts = counts
        self._memory = memory

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        count = self._counts.get(call.upstream, 1)
        if count < 2:
            return await next_step(call)
        ring = self._memory.of(Ring, call.upstream)
        rule = f"providers.{call.upstream}.api_key_envs"
        tried_keys: set[int] = set()
        while True:
            number = ring.usable(count, time.monotonic())
            tried_keys.add(number)
            result = await tried(call.but(key_number=number), next_step)
            if result.what not in ON:
                return result.give()
            ring.rest(number, time.monotonic(), result.wanted_seconds)
            following = ring.usable(count, time.monotonic())
            if following in tried_keys or not call.body.whole:
                return result.give()
            reason = _reason(result, number)
            call.decide("keys", rule, f"key {following + 1} of {count}", reason)
            result.close()


def _reason(result: Tried, number: int) -> str:
    return f"key {number + 1}: {result.what}"
