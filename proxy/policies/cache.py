"""The cache: what was asked before gets the answer that was given then.

Owns when an answer is looked for, given again and kept. Exact: the same request, of the same key,
to the same place. Semantic, where the rule says so: the user's last words may be others that mean
the same. Of equal calls at a time one goes, and the others wait a while for its answer. Refuses to
serve what is not whole or has an error in it, and to break a call: where anything fails, the call
goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from proxy.caching import request_key, soundness, wishes
from proxy.caching.answers import LARGEST_SHARE, Answer, Answers, answer_of
from proxy.caching.flights import End, Flight, Flights
from proxy.caching.inquiry import Inquiry
from proxy.caching.meaning import Meaning, Question, question_of
from proxy.caching.replies import CollectedReply, ReplayedReply
from proxy.caching.wishes import CODINGS, Wishes
from proxy.calls.call import Call, Next, Reply
from proxy.memory import Memory
from proxy.rules.choosing import Ready, Rules
from proxy.rules.settings import Cache

HEADER = b"meterline-cache"
AGE = b"age"
"""RFC 9111, section 5.1."""
_IN_VAIN = {
    None: "which took longer",
    End.KEPT: "whose answer did not suit it",
    End.LEFT: "whose client left",
    End.NOTHING: "whose answer was not kept",
}
"""Why nothing came of waiting for an equal call."""


class Lookup(NamedTuple):
    """One call, the rule that concerns it, the key of its request, and what its client wants."""

    call: Call
    ready: Ready[Cache]
    key: bytes
    wanted: Wishes

    def decide(self, action: str, reason: str) -> None:
        self.call.decide("cache", self.ready.name, action, reason)


class CachePolicy:
    """Gives kept answers to the calls of the first rule that concerns them, and keeps new ones."""

    def __init__(self, rules: Rules[Cache], memory: Memory, meaning: Meaning) -> None:
        self._rules = rules
        self._memory = memory
        self._meaning = meaning

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        if not request_key.fits(call):
            return await next_step(call)
        ready = self._rules.first(call)
        if ready is None:
            return await next_step(call)
        wanted = _wishes(call)
        if (reason := _why_not(call, ready.does, wanted)) is not None:
            call.decide("cache", ready.name, "passed by", reason)
            return await next_step(call)
        key = request_key.of(call, ready.does, call.asked.document)
        lookup = Lookup(call, ready, key, wanted)
        if (answer := self._find(lookup)) is not None:
            return _given(lookup, answer, "exact", "the same was asked in")
        if wanted.looks and (answer := await self._of_another(lookup)) is not None:
            return _given(lookup, answer, "exact", "the same was under way in")
        flight = self._memory.of(Flights, ready.name).begin(key, call.trail.exchange_id)
        try:
            if (question := question_of(call, ready.does)) is not None:
                return await self._by_meaning(lookup, flight, question, next_step)
            return self._collected(lookup, flight, await next_step(call))
        except BaseException as end:
            flight.end(End.LEFT if isinstance(end, asyncio.CancelledError) else End.NOTHING)
            raise

    def _find(self, lookup: Lookup, key: bytes | None = None) -> Answer | None:
        """A kept answer that may be given to this call; `key` where that is of another request."""
        call, ready, own_key, wanted = lookup
        key = own_key if key is None else key
        if not wanted.looks:
            return None
        answers = self._memory.of(Answers, ready.name)
        since = time.monotonic() - min(ready.does.ttl_seconds, wanted.oldest_seconds)
        answer = answers.find(key, wanted.codings, since)
        if answer is None or answer.is_sound:
            return answer
        if soundness.is_sound(call.asked, answer):
            answers.found_sound(key, answer)
            return answer
        answers.drop(key, answer)
        reason = f"that of {answer.exchange_id} has an error in it, or no end"
        lookup.decide("dropped an answer", reason)
        return None

    async def _of_another(self, lookup: Lookup) -> Answer | None:
        """The answer to an equal call under way, where that is kept in time."""
        longest, begun = lookup.ready.does.wait_seconds, time.monotonic()
        flights, why = self._memory.of(Flights, lookup.ready.name), ""
        while (flight := flights.find(lookup.key)) is not None:
            seconds = min(flight.began, begun) + longest - time.monotonic()
            if seconds <= 0:
                break
            end = await flight.wait(seconds)
            if end is End.KEPT and (answer := self._find(lookup)) is not None:
                return answer
            why = f"for {flight.exchange_id}, {_IN_VAIN[end]}"
            if end is not End.LEFT:
                break
        if why:
            lookup.decide("waited in vain", f"{time.monotonic() - begun:.1f} s {why}")
        return None

    async def _by_meaning(
        self, lookup: Lookup, flight: Flight, question: Question, next_step: Next
    ) -> Reply:
        """Look for a question that means the same, while the call waits or in its shadow."""
        call, ready, key, _ = lookup
        may_serve, why_not = self._meaning.may_serve(ready)
        inquiry = Inquiry(self._meaning, call, ready, question, key, why_not)
        inquiry.look(partial(self._find, lookup))
        if may_serve and (alike := await inquiry.found()) is not None:
            flight.end(End.NOTHING)
            return _given(lookup, alike.answer, "semantic", f"{alike.likeness:.3f} alike:")
        return self._collected(lookup, flight, await next_step(call), inquiry.answered)

    def _collected(
        self,
        lookup: Lookup,
        flight: Flight,
        reply: Reply,
        answered: Callable[[Answer], None] | None = None,
    ) -> Reply:
        """The reply, kept once it is whole."""
        call, ready, key, wanted = lookup
        if reply.status != 200 or reply.upgraded or not wanted.keeps:
            flight.end(End.NOTHING)
            return reply
        rule = ready.does
        largest = rule.max_bytes // LARGEST_SHARE

        def collected(pieces: Sequence[bytes] | None) -> End:
            if pieces is None:
                lookup.decide("not kept", f"it has more than {largest} bytes")
                return End.NOTHING
            answer = _answer(call, reply, pieces)
            if answer.coding not in CODINGS:
                return End.NOTHING
            bounds = {"max_entries": rule.max_entries, "max_bytes": rule.max_bytes}
            self._memory.of(Answers, ready.name).put(key, answer, **bounds)
            lookup.decide("kept", f"for {rule.ttl_seconds:g} s")
            if answered is not None:
                try:
                    answered(answer)
                except Exception as fault:  # the client's answer goes on
                    lookup.decide("did not compare", type(fault).__name__)
            return End.KEPT

        return CollectedReply(reply, collected, largest, flight)


def _answer(call: Call, reply: Reply, pieces: Sequence[bytes]) -> Answer:
    return answer_of(
        reply.headers,
        pieces,
        reason=reply.reason,
        exchange_id=call.trail.exchange_id,
        upstream=call.trail.upstream,
        model=call.trail.sent_model,
        now=time.monotonic(),
    )


def _wishes(call: Call) -> Wishes:
    """What the client wants; where its answer is changed on the way, it must come plain."""
    wanted = wishes.of(call.raw)
    return wanted._replace(codings=frozenset({""})) if call.plain else wanted


def _why_not(call: Call, rule: Cache, wanted: Wishes) -> str | None:
    if not wanted.looks and not wanted.keeps:
        return "the client says no-store"
    if not rule.sampled and request_key.is_sampled(call.asked):
        return "its answer is drawn by chance"
    return None


def _given(lookup: Lookup, answer: Answer, hit: str, why: str) -> Reply:
    age = time.monotonic() - answer.kept_at
    lookup.decide("hit", f"{why} {answer.exchange_id}, {age:.0f} s ago")
    lookup.call.trail.comes_from_cache(hit, answer.upstream, answer.model)
    return ReplayedReply(answer, [(HEADER, hit.encode()), (AGE, b"%d" % int(age))])
