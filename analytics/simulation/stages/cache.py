"""The cache of answers on recorded calls: which of them would have been given again.

Owns keeping, for each recorded request, that its answer would be there; the answers themselves are
not needed. What makes two requests the same, what may be kept and for how long, the proxy's cache
says. Who comes while the same is under way waits for it, if that came to its end in time; where its
client left, nobody waits. Only requests whose bodies are stored can be compared; hits by meaning
show only live.
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


class _Flight(NamedTuple):
    """A call that others may wait for."""

    key: tuple[str, bytes]


class CacheStage:
    """Remembers what the cache of each rule would hold."""

    def __init__(self, rules: Rules[Cache], memory: Memory) -> None:
        self._rules, self._memory = rules, memory
        self._under_way: dict[tuple[str, bytes], Replayed] = {}
        """Of equal calls at a time the first."""

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
        first = self._under_way.setdefault((ready.name, key), call)
        if first is not call and wanted.looks and _in_time(first, ready.does):
            why = f"the same was under way in {first.row['exchange_id']}"
            call.decide("cache", ready.name, "hit", why)
            call.becomes("cached", ready.name, done=True)
            return
        call.held.append(_Flight((ready.name, key)))
        if ready.does.semantic is not None and _asks_a_question(call):
            call.left_out.append((ready.name, MEANING))
        if wanted.keeps:
            call.held.append(_Awaited(ready, key))

    def end(self, call: Replayed, used: Used, now: Now) -> None:
        del used
        for held in call.held:
            if isinstance(held, _Flight) and self._under_way.get(held.key) is call:
                del self._under_way[held.key]
            if isinstance(held, _Awaited) and _is_whole(call):
                self._keep(call, held.ready, held.key, now)

    def _keep(self, call: Replayed, ready: Ready[Cache], key: bytes, now: Now) -> None:
        size = call.row["response_bytes"] or 0
        if not _may_be_kept(call, ready.does):
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


def _is_whole(call: Replayed) -> bool:
    return bool(call.row["outcome"] == "completed" and call.row["status"] == 200)


def _may_be_kept(call: Replayed, rule: Cache) -> bool:
    return (call.row["response_bytes"] or 0) <= rule.max_bytes // LARGEST_SHARE


def _in_time(first: Replayed, rule: Cache) -> bool:
    """Whether its answer was there, and kept, before those that wait for it went themselves."""
    keeps = wishes.of(first.asked.fields).keeps and _may_be_kept(first, rule)
    lasted = first.row["duration_seconds"] or 0.0
    return keeps and _is_whole(first) and lasted <= rule.wait_seconds


def _asks_a_question(call: Replayed) -> bool:
    """Whether there is something whose meaning could be looked for."""
    return call.operation in GENERATED and last_words.of(call.asked.document) is not None
