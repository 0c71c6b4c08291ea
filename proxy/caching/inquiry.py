"""An inquiry: one call whose question is looked for by its meaning.

Owns bringing together what was found and what was really answered, whichever comes later. What it
notes goes into the record that is still open then: that of the call, or that of the exchange which
brought the vector. Refuses to make a call wait that is not served from here.
"""

from __future__ import annotations

import asyncio

from proxy.caching.answers import Answer
from proxy.caching.meaning import Alike, Kept, Meaning, Question, Work, semantic
from proxy.caching.vectors import Vector
from proxy.calls.call import Call
from proxy.rules.choosing import Ready
from proxy.rules.settings import Cache


class Inquiry:
    """Begin with `look`; tell it the real answer with `answered`."""

    def __init__(
        self,
        meaning: Meaning,
        call: Call,
        ready: Ready[Cache],
        question: Question,
        key: bytes,
        why_not: str,
    ) -> None:
        """`key` is that of the request; `why_not` tells why no hit is served."""
        self._meaning = meaning
        self._call = call
        self._ready = ready
        self._question = question
        self._key = key
        self._why_not = why_not
        self._looked = asyncio.Event()
        self._vector: Vector | None = None
        self._alike: Alike | None = None
        self._real: Answer | None = None

    def look(self, kept: Kept) -> None:
        """Find the vector of the question, and with it the answer to one alike."""

        def told(own: Call, found: list[Vector] | None) -> None:
            if found is not None:
                self._vector = found[0]
                self._alike = self._meaning.nearest(
                    self._call.asked, self._ready, self._question, found[0], kept
                )
            self._looked.set()
            if self._real is not None:
                self._settle(own)

        seconds = semantic(self._ready).patience_seconds
        work = self._meaning.vectors(self._call, self._ready, [self._question.text], seconds, told)
        if work is None:
            self._looked.set()
        else:
            self._meaning.begin(self._done(work))

    async def _done(self, work: Work) -> None:
        """Whatever becomes of it, nobody waits for it any longer."""
        try:
            await work
        finally:
            self._looked.set()

    async def found(self) -> Alike | None:
        """The answer to a question alike, once it has been looked for."""
        await self._looked.wait()
        return self._alike

    def answered(self, real: Answer) -> None:
        """The call has its real answer, which is kept."""
        self._real = real
        if self._looked.is_set():
            self._settle(self._call)

    def _settle(self, record: Call) -> None:
        ready, real = self._ready, self._real
        assert real is not None
        if self._vector is None:
            record.decide("cache", ready.name, "did not look for its meaning", "no vector came")
            return
        self._meaning.learn(ready, self._question, self._vector, self._key)
        if self._alike is not None:
            served, likeness = self._alike.answer, self._alike.likeness
            reason = f"{likeness:.3f} alike: {served.exchange_id} for {real.exchange_id}; "
            record.decide("cache", ready.name, "would have served", reason + self._why_not)
            self._meaning.compare(record, ready, served, real)
