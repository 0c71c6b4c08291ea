"""Balance: one of several destinations for each call.

Owns the choice: in the shares that weights give, or the quicker of two drawn (power of two
choices on a moving average). The calls of one session, user or key stay together. Destinations
whose breaker is open are left out while any other is there.
"""

from __future__ import annotations

import math
import random
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy.calls.call import Call, Next, Reply
from proxy.calls.destinations import Destination, Destinations
from proxy.calls.tried import tried
from proxy.circuit import Circuit
from proxy.drawing import drawn
from proxy.memory import Memory
from proxy.rules.choosing import Ready, Rules
from proxy.rules.conditions import Known
from proxy.rules.settings import Arm, Balance

SMOOTHING = 0.2
"""The share of the newest in a moving average."""
PENALTY_SECONDS = 10.0
"""What a failure counts for."""
HALVED_SECONDS = 30.0
"""In so long the average of one that nobody asks halves, so that it is tried again."""
_SAYS_NOTHING = frozenset({400, 404, 413, 422})
"""Errors of the client, which come quickly anywhere."""
REMEMBERED = 10_000
"""Sessions whose destination is remembered, by latency; the oldest are drawn anew."""
_LABELS = {"session": "session_id", "user": "user_id"}


@dataclass(slots=True)
class Latency:
    """The moving average of one destination, in seconds to the first piece of an answer."""

    seconds: float = 0.0
    at: float = 0.0
    """When it was asked last."""

    def now(self, now: float) -> float:
        """What is expected of it."""
        return self.seconds * math.pow(0.5, max(0.0, now - self.at) / HALVED_SECONDS)

    def add(self, seconds: float, now: float) -> None:
        before = self.now(now)
        self.seconds = before + SMOOTHING * (seconds - before) if self.seconds else seconds
        self.at = now


@dataclass(slots=True)
class Places:
    """Where the sessions of one rule went, the oldest forgotten."""

    by_word: OrderedDict[str, str] = field(default_factory=OrderedDict)

    def put(self, word: str, to: str) -> None:
        self.by_word[word] = to
        self.by_word.move_to_end(word)
        if len(self.by_word) > REMEMBERED:
            self.by_word.popitem(last=False)


class BalancePolicy:
    """Sends calls to one of the destinations of the first rule that concerns them."""

    def __init__(self, rules: Rules[Balance], memory: Memory, destinations: Destinations) -> None:
        self._rules = rules
        self._memory = memory
        self._destinations = destinations

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        ready = self._rules.first(call)
        if ready is None:
            return await next_step(call)
        word = sticky_word(call, ready.does.sticky)
        to, why, forced = self._chosen(ready, word)
        moved = self._destinations.moved(call.but(forced=forced), Destination.of(to))
        if moved is None:
            call.decide("balance", ready.name, f"did not ask {to}", "its model cannot be changed")
            return await next_step(call)
        call.decide("balance", ready.name, f"sent to {to}", why)
        if ready.does.by == "weight":
            return await next_step(moved)
        begun = time.monotonic()
        result = await tried(moved, next_step)
        now = time.monotonic()
        if result.what not in _SAYS_NOTHING:
            seconds = now - begun if result.good else PENALTY_SECONDS
            self._memory.of(Latency, to).add(seconds, now)
        return result.give()

    def _chosen(self, ready: Ready[Balance], word: str | None) -> tuple[str, str, bool]:
        """A destination, why it, and whether it is asked although its breaker is open."""
        rule, now = ready.does, time.monotonic()
        awake = [arm for arm in rule.across if not self._circuit(arm).resting(now)]
        if not awake:
            least = min(rule.across, key=lambda arm: self._circuit(arm).failure_rate)
            return least.to, "the least bad of all", True
        if rule.by == "weight":
            weights = [(arm.to, arm.weight) for arm in awake]
            to = awake[drawn(weights, ready.name, word)].to
            return to, f"drawn by {rule.sticky}" if word is not None else "drawn by chance", False
        places = self._memory.of(Places, ready.name)
        known = places.by_word.get(word) if word is not None else None
        if known is not None and any(arm.to == known for arm in awake):
            return known, f"where its {rule.sticky} is", False
        to, other = self._quicker(awake, now)
        if word is not None:
            places.put(word, to)
        return to, f"quicker than {other}", False

    def _quicker(self, arms: Sequence[Arm], now: float) -> tuple[str, str]:
        """Of two drawn by chance the quicker one, and the other."""
        two = random.sample(arms, 2) if len(arms) > 1 else [arms[0], arms[0]]
        first, second = sorted(two, key=lambda arm: self._memory.of(Latency, arm.to).now(now))
        return first.to, second.to

    def _circuit(self, arm: Arm) -> Circuit:
        return self._memory.of(Circuit, Destination.of(arm.to).provider)


def sticky_word(call: Known, sticky: str) -> str | None:
    """What keeps calls together; None where the call does not say it."""
    if sticky == "key":
        return call.key
    label = _LABELS.get(sticky)
    return call.labels.get(label) if label is not None else None
