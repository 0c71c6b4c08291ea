"""A reply that passes on an inner one: what is the same of all that only add to it.

Owns the passing on. Refuses to look at what passes.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.calls.call import Reply


class PassedReply:
    """Everything as the inner reply has it; what differs is said by those that inherit."""

    def __init__(self, inner: Reply) -> None:
        self._inner = inner
        self.status = inner.status
        self.counts_as = inner.counts_as
        self.reason = inner.reason
        self.headers = inner.headers
        self.upgraded = inner.upgraded
        self.cached = inner.cached

    @property
    def origin(self) -> Reply:
        return self._inner.origin

    @property
    def begun(self) -> bool:
        return self._inner.begun

    @property
    def complete(self) -> bool:
        return self._inner.complete

    @property
    def first(self) -> bytes:
        return self._inner.first

    def when_ended(self, tell: Callable[[], None]) -> None:
        self._inner.when_ended(tell)

    async def read(self) -> bytes:
        return await self._inner.read()

    def close(self) -> None:
        self._inner.close()
