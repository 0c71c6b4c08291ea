"""Replies that are watched on their way: everything passes, and the end is told once, with a copy.

Owns the bounded copy. Refuses to change a byte.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.body_copy import BodyCopy
from proxy.calls.call import Reply
from proxy.calls.passed import PassedReply
from proxy.headers import RawHeaders
from proxy.reading import Copied

COPY_BYTES = 4 << 20
Watched = Callable[[Copied, bool], None]
"""Told a copy of the answer, and whether it is whole."""


class WatchedReply(PassedReply):
    """Passes on an inner reply, and tells its end with a copy."""

    def __init__(self, inner: Reply, watched: Watched, more: RawHeaders = ()) -> None:
        """`more` header fields go to the client."""
        super().__init__(inner)
        self._watched: Watched | None = watched
        self._copy: BodyCopy | None = None
        if more:
            self.headers = [*inner.headers, *more]

    async def read(self) -> bytes:
        piece, whole = await self._inner.read(), self._inner.complete
        if self._copy is None:
            if whole and len(piece) <= COPY_BYTES:  # most answers come in one piece
                self._tell(Copied(piece), whole=True)
                return piece
            self._copy = BodyCopy(COPY_BYTES)
        self._copy.add(piece)
        if whole:
            self._tell(_taken(self._copy), whole=True)
        return piece

    def close(self) -> None:
        try:
            if self._watched is not None:
                self._tell(_taken(self._copy), whole=False)
        finally:
            self._inner.close()

    def _tell(self, copy: Copied, *, whole: bool) -> None:
        watched, self._watched = self._watched, None
        if watched is not None:
            watched(copy, whole)


def _taken(copy: BodyCopy | None) -> Copied:
    return Copied(b"") if copy is None else Copied(copy.take() + copy.tail(), copy.gap)
