"""The provider's own books, for tests that compare them with a client's.

Owns one entry for each request, the oldest dropped beyond a bound. Refuses to keep any content.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import orjson

MAX_ENTRIES = 100_000


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request. `usage` is what the complete answer reports; `sent` is true once all of the
    answer was handed to the socket."""

    number: int
    method: str
    path: str
    test_id: str | None
    model: str | None = None
    stream: bool | None = None
    fault: str | None = None
    status: int | None = None
    usage: dict[str, Any] | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    sent: bool = False


class Ledger:
    """Numbers requests from 1 and remembers the last 100,000."""

    def __init__(self, limit: int = MAX_ENTRIES) -> None:
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._count = 0

    def open(self, method: str, path: str, test_id: str | None) -> Entry:
        self._count += 1
        entry = Entry(number=self._count, method=method, path=path, test_id=test_id)
        self._entries.append(entry)
        return entry

    def clear(self) -> None:
        """Forgets the entries; the numbers go on."""
        self._entries.clear()

    def as_json(self) -> bytes:
        return orjson.dumps(list(self._entries))
