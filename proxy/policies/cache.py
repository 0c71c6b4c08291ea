"""The cache: what was asked before gets the answer that was given then.

Owns when an answer is looked for, given again and kept. Exact: the same request, of the same key,
to the same place. Semantic, where the rule says so: the user's last words may be others that mean
the same. Refuses to serve what is not whole or has an error in it, and to break a call: where
anything fails, the call goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from proxy.caching import request_key, soundness, wishes
from proxy.caching.answers import LARGEST_SHARE, Answer, Answers, answer_of
from proxy.caching.inquiry import Inquiry
from proxy.caching.meaning import Meaning, Question, question_of
from proxy.caching.replies import CollectedReply, ReplayedReply
from proxy.caching.wishes import CODINGS, Wishes
from proxy.calls.call import Call, KnownOfCall, Next, Reply
from proxy.memory import Memory
from proxy.rules.choosing import Ready, Rules
from proxy.rules.settings import Cache

HEADER = b"meterline-cache"
AGE = b"age"
"""RFC 9111, section 5.1."""


class CachePolicy:
    """Gives kept answers to the calls of the first rule that concerns them, and keeps new ones."""

    def __init__(self, rules: Rules[Cache], memory: Memory, meaning: Meaning) -> None:
        self._rules = rules
        self._memory = memory
        self._meaning = meaning

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        if not request_key.fits(call):
            return await next_step(call)
        ready = self._rules.first(KnownOfCall(call))
        if ready is None:
            return await next_step(call)
        wanted = _wishes(call)
        if (reason := _why_not(call, ready.does, wanted)) is not None:
            call.decide("cache", ready.name, "passed by", reason)
            return await next_step(call)
        key = request_key.of(call, ready.does, call.asked.document)
        if (answer := self._find(call, ready, key, wanted)) is not None:
            return _given(call, ready.name, answer, "exact", "the same was asked in")
        question = question_of(call, ready.does)
        if question is not None:
            return await self._by_meaning(call, next_step, ready, key, wanted, question)
        return self._collected(call, ready, key, wanted, await next_step(call))

    def _find(self, call: Call, ready: Ready[Cache], key: bytes, wanted: Wishes) -> Answer | None:
        """A kept answer that may be given to this call."""
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
        call.decide("cache", ready.name, "dropped an answer", reason)
        return None

    async def _by_meaning(
        self,
        call: Call,
        next_step: Next,
        ready: Ready[Cache],
        key: bytes,
        wanted: Wishes,
        question: Question,
    ) -> Reply:
        """Look for a question that means the same, while the call waits or in its shadow."""

        def kept(found: bytes) -> Answer | None:
            return self._find(call, ready, found, wanted)

        may_serve, why_not = self._meaning.may_serve(ready)
        inquiry = Inquiry(self._meaning, call, ready, question, key, why_not)
        inquiry.look(kept)
        if may_serve and (alike := await inquiry.found()) is not None:
            why = f"{alike.likeness:.3f} alike:"
            return _given(call, ready.name, alike.answer, "semantic", why)
        reply = await next_step(call)
        return self._collected(call, ready, key, wanted, reply, inquiry.answered)

    def _collected(
        self,
        call: Call,
        ready: Ready[Cache],
        key: bytes,
        wanted: Wishes,
        reply: Reply,
        answered: Callable[[Answer], None] | None = None,
    ) -> Reply:
        """The reply, kept once it is whole."""
        if reply.status != 200 or reply.upgraded or not wanted.keeps:
            return reply
        rule, name = ready.does, ready.name
        largest = rule.max_bytes // LARGEST_SHARE

        def collected(pieces: Sequence[bytes] | None) -> None:
            if pieces is None:
                call.decide("cache", name, "not kept", f"it has more than {largest} bytes")
                return
            answer = self._answer(call, reply, pieces)
            if answer.coding not in CODINGS:
                return
            bounds = {"max_entries": rule.max_entries, "max_bytes": rule.max_bytes}
            self._memory.of(Answers, name).put(key, answer, **bounds)
            call.decide("cache", name, "kept", f"for {rule.ttl_seconds:g} s")
            if answered is not None:
                try:
                    answered(answer)
                except Exception as fault:  # the client's answer goes on
                    call.decide("cache", name, "did not compare", type(fault).__name__)

        return CollectedReply(reply, collected, largest)

    def _answer(self, call: Call, reply: Reply, pieces: Sequence[bytes]) -> Answer:
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


def _given(call: Call, rule: str, answer: Answer, hit: str, why: str) -> Reply:
    age = time.monotonic() - answer.kept_at
    call.decide("cache", rule, "hit", f"{why} {answer.exchange_id}, {age:.0f} s ago")
    call.trail.comes_from_cache(hit, answer.upstream, answer.model)
    return ReplayedReply(answer, [(HEADER, hit.encode()), (AGE, b"%d" % int(age))])
