"""The recorder of a worker: entries to the journal, and losses counted until they can be told.

Owns what happens when the journal cannot be written. Refuses to raise into traffic.
"""

from __future__ import annotations

import time
from collections import Counter

from proxy.journal import Closed, JournalUnwritable, JournalWriter, Lost, Opened, Part


class Recorder:
    """Writes entries; what the journal refuses is counted and told as soon as it takes again."""

    def __init__(self, journal: JournalWriter, losses: Counter[str]) -> None:
        self._journal = journal
        self._untold: Counter[str] = Counter()
        self._losses = losses

    def write(self, entry: Opened | Part | Closed, request: bytes, response: bytes) -> bool:
        """Whether the entry is in the journal."""
        try:
            if self._untold:
                self._tell()
            self._journal.append(entry, request, response)
        except JournalUnwritable:
            return False
        return True

    async def durable(self) -> bool:
        """Whether what was written is as safe as the settings promise."""
        try:
            await self._journal.durable()
        except JournalUnwritable:
            return False
        return True

    def lose(self, reason: str) -> None:
        self._untold[reason] += 1
        self._losses[reason] += 1

    def _tell(self) -> None:
        for reason, count in list(self._untold.items()):
            at = time.time_ns() // 1000
            self._journal.append(Lost(at=at, reason=reason, count=count))
            del self._untold[reason]
