"""Removing segments whose rows are safe.

Owns the conditions: sealed, read to the end, nothing under way refers to it, its rows committed
and checkpointed, and older than the time for which the journal is kept. Refuses to trust memory:
what is committed is read from the file, opened anew.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from analytics import positions, store
from analytics.positions import Positions
from proxy.journal import lanes
from proxy.journal.segments import idle_locks, lane_of


def clean(folder: Path, path: Path, known: Positions, keep_seconds: float) -> int:
    """Remove what may go; how many segments that was. Raises StoreError."""
    candidates = [s for s in _finished(folder, known) if _age_seconds(s) > keep_seconds]
    removed = 0
    if candidates:
        safe = set(_finished(folder, _checkpointed(path)))
        for segment in candidates:
            if segment in safe:
                segment.unlink(missing_ok=True)
                removed += 1
    _remove_idle_locks(folder)
    return removed


def _finished(folder: Path, known: Positions | None) -> list[Path]:
    """Segments read to their end to which nothing under way refers, in the order of writing."""
    if known is None:
        return []
    needed = {place.segment for places in known.open.values() for place in places}
    names = sorted(n for n, state in known.segments.items() if state.finished and n not in needed)
    return [folder / name for name in names if (folder / name).exists()]


def _age_seconds(segment: Path) -> float:
    try:
        return time.time() - segment.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _checkpointed(path: Path) -> Positions | None:
    """The positions in the file itself; None while a write-ahead log lies beside it."""
    with store.read(path) as con:
        wal = store.wal_of(path)
        if wal.exists() and wal.stat().st_size > 0:
            return None
        return positions.load(con)


def _remove_idle_locks(folder: Path) -> None:
    """Lock files of lanes that are over and have no segment left."""
    with_segments = {lane.name for lane in lanes(folder) if lane.segments}
    for lock in idle_locks(folder):
        if lane_of(lock) not in with_segments:
            with suppress(FileNotFoundError):
                os.unlink(lock)
