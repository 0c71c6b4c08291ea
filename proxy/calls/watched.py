"""A reply that is watched on its way: everything passes, and its end is told once.

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
Ended = Callable[[Copied, bool], None]
"""Told the copy, and whether the answer is whole."""


class WatchedReply(PassedReply):
    """Passes on an inner reply."""

    def __init__(
        self, inner: Reply, ended: Ended, *, copied: bool = True, more: RawHeaders = ()
    ) -> None:
        """`copied`: the end is told with a copy, else with none; `more` header fields go to the
        client."""
        super().__init__(inner)
        self._ended: Ended | None = ended
        self._copy = BodyCopy(COPY_BYTES) if copied else None
        if more:
            self.headers = [*inner.headers, *more]

    async def read(self) -> bytes:
        piece = await self._inner.read()
        if self._copy is not None:
            self._copy.add(piece)
        if self._inner.complete:
            self._tell(whole=True)
        return piece

    def close(self) -> None:
        try:
            self._tell(whole=False)
        finally:
            self._inner.close()

    def _tell(self, *, whole: bool) -> None:
        ended, self._ended = self._ended, None
        if ended is None:
            return
        copy = self._copy
        ended(Copied(copy.take() + copy.tail(), copy.gap) if copy else Copied(b""), whole)
