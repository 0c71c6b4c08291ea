"""What the journal has that is not posted, seen from its folder.

Owns the cheap question "is there news?": file names and sizes, no file opened. Only whether a
lane has died shows in a lock, which is asked once a second for lanes that are not finished.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics.positions import Positions, SegmentState
from proxy.journal import Closed, Frame, Lost, Opened, lanes
from proxy.journal.entries import decode
from proxy.journal.segments import read_items

LIVENESS_SECONDS = 1.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNREAD = SegmentState(0, False)


class Backlog:
    """Looks at the journal's folder between batches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._marked: dict[str, int] = {}
        self._settled: dict[str, int] | None = None
        self._asked = 0.0

    def has_news(self, known: Positions | None) -> bool:
        """Whether a batch may bring something."""
        if known is None or self._sizes() != self._settled:
            return True
        now = time.monotonic()
        if now - self._asked < LIVENESS_SECONDS:
            return False
        self._asked = now
        return self._has_died(known)

    def mark(self) -> None:
        """A batch is about to be read."""
        self._marked = self._sizes()

    def settle(self) -> None:
        """What was there at the mark is posted, as far as it can be."""
        self._settled = self._marked

    def bytes(self, known: Positions) -> int:
        return sum(
            max(0, size - state.position)
            for name, size in self._sizes().items()
            if not (state := known.segments.get(name, _UNREAD)).finished
        )

    def oldest(self, known: Positions) -> datetime | None:
        """When the first entry that is not posted was written, about."""
        times = [at for path in self._unread(known) if (at := _first_time(path, known)) is not None]
        return min(times, default=None)

    def _unread(self, known: Positions) -> Iterator[Path]:
        for name, size in self._sizes().items():
            state = known.segments.get(name, _UNREAD)
            if not state.finished and size > state.position:
                yield self._folder / name

    def _sizes(self) -> dict[str, int]:
        sizes = {}
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".seg"):
                    with suppress(FileNotFoundError):
                        sizes[entry.name] = entry.stat().st_size
        return sizes

    def _has_died(self, known: Positions) -> bool:
        names = self._settled or {}
        unfinished = any(not known.segments.get(n, _UNREAD).finished for n in names)
        return unfinished and any(
            not lane.alive
            and any(not known.segments.get(s.name, _UNREAD).finished for s in lane.segments)
            for lane in lanes(self._folder)
        )


def _first_time(segment: Path, known: Positions) -> datetime | None:
    position = known.segments.get(segment.name, _UNREAD).position
    try:
        item = next(read_items(segment, position, 4096), None)
        entry = decode(item.kind, item.head) if isinstance(item, Frame) else None
    except (OSError, ValueError):
        return None
    if isinstance(entry, Opened):
        return _EPOCH + timedelta(microseconds=entry.started_at)
    if isinstance(entry, Closed):
        return _EPOCH + timedelta(
            microseconds=entry.started_at, seconds=max(0.0, entry.duration_seconds)
        )
    return _EPOCH + timedelta(microseconds=entry.at) if isinstance(entry, Lost) else None
