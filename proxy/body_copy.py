"""A bounded copy of a body: its head and, where it is longer than the limit, its tail.

Owns the bounds. Refuses to know what the bytes mean.
"""

from __future__ import annotations

TAIL_BYTES = 1 << 16


class BodyCopy:
    """A bounded copy of one body: its head and, where it is longer than the limit, its tail."""

    __slots__ = ("_head", "_head_limit", "_pending", "_tail", "_tail_limit", "total")

    def __init__(self, limit: int) -> None:
        self._tail_limit = min(TAIL_BYTES, limit // 2)
        self._head_limit = limit - self._tail_limit
        self._head: list[bytes] = []
        self._pending = 0
        self._tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        before, self.total = self.total, self.total + len(data)
        if self.total <= self._head_limit:
            self._head.append(data)
            self._pending += len(data)
            return
        fits = max(0, self._head_limit - before)
        if fits:
            self._head.append(data[:fits])
            self._pending += fits
        self._tail += data[fits:]
        if len(self._tail) > 4 * self._tail_limit:
            del self._tail[: len(self._tail) - self._tail_limit]

    @property
    def pending(self) -> int:
        """Bytes of the head that were not taken yet."""
        return self._pending

    def take(self) -> bytes:
        """The head's bytes that were not taken yet."""
        data = b"".join(self._head)
        self._head, self._pending = [], 0
        return data

    def put_back(self, data: bytes) -> None:
        """Bytes that were taken and are not kept anywhere yet."""
        if data:
            self._head.insert(0, data)
            self._pending += len(data)

    def tail(self) -> bytes:
        if self.gap is None:
            return bytes(self._tail)
        return bytes(self._tail[max(0, len(self._tail) - self._tail_limit) :])

    @property
    def gap(self) -> int | None:
        """The offset in the copy at which bytes are missing, None where it is whole."""
        if self.total <= self._head_limit + self._tail_limit:
            return None
        return self._head_limit
