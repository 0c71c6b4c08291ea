"""The cache of answers on recorded calls: which of them would have been given again.

Owns keeping, for each recorded request, that its answer would be there; the answers themselves are
not needed. What makes two requests the same, what may be kept and for how long, the proxy's cache
says. Only requests whose bodies are stored can be compared; hits by meaning show only live.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from analytics.simulation.left_out import MEANING, NOT_STORED
from analytics.simulation.recorded import Replayed
from analytics.simulation.stages import Used
from proxy.caching import last_words, request_key, wishes
from proxy.caching.answers import AROUND_BYTES, LARGEST_SHARE, Answer, Answers
from proxy.caching.request_key import COMPUTED, GENERATED
from proxy.limits.accounts import Now
from proxy.memory import Memory
from proxy.rules.choosing import Ready, Rules
from proxy.rules.settings import Cache

_ANY_CODING = ("",)
"""Every client takes the coding in which its own answer came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept(Answer):
    """An answer of which only the size is known."""

    body_bytes: int

    @property
    def size(self) -> int:
        return self.body_bytes + AROUND_BYTES


class _Awaited(NamedTuple):
    """The answer to a call, which will be kept once it is there."""

    ready: Ready[Cache]
    key: bytes


class CacheStage:
    """Remembers what the cache of each rule would hold."""

    def __init__(self, rules: Rules[Cache], memory: Memory) -> None:
        self._rules, self._memory = rules, memory

    def past(self, call: Replayed, used: Used) -> None:
        """A cache begins empty when its rule comes into force."""

    def begin(self, call: Replayed) -> None:
        asked = call.asked
        if asked.operation not in GENERATED and asked.operation not in COMPUTED:
            return
        ready = self._rules.first(call)
        if ready is None:
            return
        if asked.body is None:
            call.left_out.append((ready.name, NOT_STORED))
            return
        wanted = wishes.of(asked.fields)
        sampled = request_key.is_sampled(asked)
        if not request_key.is_repeatable(asked) or (sampled and not ready.does.sampled):
            return
        key = request_key.key(
            ready.does,
            whose=call.key,
            upstream=call.provider,
            target=asked.head.target,
            raw=asked.fields,
            asked=asked,
            document=asked.document,
        )
        since = call.begins.monotonic - min(ready.does.ttl_seconds, wanted.oldest_seconds)
        answers = self._memory.of(Answers, ready.name)
        found = answers.find(key, _ANY_CODING, since) if wanted.looks else None
        if found is not None:
            age = call.begins.monotonic - found.kept_at
            why = f"the same was asked in {found.exchange_id}, {age:.0f} s ago"
            call.decide("cache", ready.name, "hit", why)
            call.becomes("cached", ready.name, done=True)
            return
        if ready.does.semantic is not None and _asks_a_question(call):
            call.left_out.append((ready.name, MEANING))
        if wanted.keeps:
            call.held.append(_Awaited(ready, key))

    def end(self, call: Replayed, used: Used, now: Now) -> None:
        del used
        if call.row["outcome"] != "completed" or call.row["status"] != 200:
            return
        for held in call.held:
            if isinstance(held, _Awaited):
                self._keep(call, held.ready, held.key, now)

    def _keep(self, call: Replayed, ready: Ready[Cache], key: bytes, now: Now) -> None:
        size = call.row["response_bytes"] or 0
        if size > ready.does.max_bytes // LARGEST_SHARE:
            return
        answer = _Kept(
            exchange_id=call.row["exchange_id"],
            upstream=call.provider,
            model=call.model,
            reason="OK",
            headers=[],
            coding="",
            body=b"",
            ends=(),
            kept_at=now.monotonic,
            is_sound=True,
            body_bytes=size,
        )
        bounds = {"max_entries": ready.does.max_entries, "max_bytes": ready.does.max_bytes}
        self._memory.of(Answers, ready.name).put(key, answer, **bounds)


def _asks_a_question(call: Replayed) -> bool:
    """Whether there is something whose meaning could be looked for."""
    return call.operation in GENERATED and last_words.of(call.asked.document) is not None
