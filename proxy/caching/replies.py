"""Replies around kept answers: one that gives an answer again, and one that collects it.

Owns the pieces in which a body came, so that a stream is a stream again. Refuses to change a byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from proxy.caching.answers import Answer
from proxy.caching.flights import End, Flight
from proxy.calls.call import Reply
from proxy.calls.passed import PassedReply
from proxy.headers import RawHeaders

BREATH_PIECES = 64
"""After so many pieces other calls have their turn."""
Collected = Callable[[Sequence[bytes] | None], End]
"""Told the pieces of a whole answer; None where there were more bytes than may be kept. Tells what
became of it."""


class ReplayedReply:
    """A kept answer, in the pieces in which it came, without its pauses."""

    upgraded = False
    cached = True

    def __init__(self, answer: Answer, more: RawHeaders) -> None:
        """`more` header fields go to the client."""
        self._answer = answer
        self._given = 0
        self.status = self.counts_as = answer.status
        self.reason = answer.reason
        self.headers: RawHeaders = [*answer.headers, *more]
        self._ended: Callable[[], None] | None = None

    @property
    def origin(self) -> Reply:
        return self

    @property
    def begun(self) -> bool:
        return bool(self._answer.body)

    @property
    def complete(self) -> bool:
        return self._given >= len(self._answer.ends)

    @property
    def first(self) -> bytes:
        return self._piece(0) if self._given == 0 and self._answer.ends else b""

    def when_ended(self, tell: Callable[[], None]) -> None:
        self._ended = tell

    async def read(self) -> bytes:
        if self.complete:
            return b""
        if self._given % BREATH_PIECES == BREATH_PIECES - 1:
            await asyncio.sleep(0)
        self._given += 1
        if self.complete:
            self._tell_end()
        return self._piece(self._given - 1)

    def close(self) -> None:
        self._tell_end()

    def _tell_end(self) -> None:
        tell, self._ended = self._ended, None
        if tell is not None:
            tell()

    def _piece(self, number: int) -> bytes:
        ends = self._answer.ends
        return self._answer.body[ends[number - 1] if number else 0 : ends[number]]


class CollectedReply(PassedReply):
    """Passes on an inner reply, and tells its pieces once it is whole. What ends before is not
    told. In each case the flight of its call ends."""

    def __init__(
        self, inner: Reply, collected: Collected, limit_bytes: int, flight: Flight
    ) -> None:
        super().__init__(inner)
        self._collected: Collected | None = collected
        self._limit_bytes = limit_bytes
        self._flight = flight
        self._pieces: list[bytes] = []
        self._bytes = 0

    async def read(self) -> bytes:
        try:
            piece = await self._inner.read()
        except Exception:
            self._flight.end(End.NOTHING)
            raise
        if self._collected is not None:
            self._add(piece)
        return piece

    def _add(self, piece: bytes) -> None:
        self._bytes += len(piece)
        whole, too_large = self._inner.complete, self._bytes > self._limit_bytes
        if piece and not too_large:
            self._pieces.append(piece)
        if whole or too_large:
            collected, pieces = self._collected, self._pieces
            self._collected, self._pieces = None, []
            if collected is not None:
                self._flight.end(collected(None if too_large else pieces))

    def close(self) -> None:
        self._collected, self._pieces = None, []
        self._flight.end(End.LEFT)
        self._inner.close()
