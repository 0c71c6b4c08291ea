"""The writer of one lane: appends frames with one system call each.

Owns rotation, rolling back what did not fit, and fsync. A segment whose write or fsync failed is
given up for a new one, never trusted again: after a failed fsync the kernel may have dropped the
dirty pages and report success the next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path
from typing import Literal

from proxy.journal import frames, segments
from proxy.journal.entries import Entry, encode

SEGMENT_BYTES = 64 << 20
SYNC_SECONDS = 1.0


class JournalUnwritable(Exception):
    """The entry is not in the journal: disk full, folder gone, input/output error."""


class JournalWriter:
    """Appends entries to the lane of this worker. Not for use from several threads.

    `fsync="interval"`: a thread syncs once a second. `"always"`: `durable()` waits until all
    that was appended before is on the disk; calls made meanwhile share one sync.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fsync: Literal["interval", "always"] = "interval",
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        segments.prepare_folder(folder)
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._lane = segments.new_lane_name()
        self._marker = segments.marker_of(self._lane)
        self._lock = segments.take_lane(folder, self._lane)
        self._number = 0
        self._fd: int | None = None
        self._retired: list[int] = []
        self._size = 0
        self._distrusted = False
        self._always = fsync == "always"
        self._dirty = False
        self._swap = threading.Lock()
        self._one_sync = threading.Lock()
        self._stopped = threading.Event()
        self._syncing: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self.sync_failures = 0
        if not self._always:
            threading.Thread(target=self._sync_regularly, name="journal-sync", daemon=True).start()

    def append(self, entry: Entry, request: bytes = b"", response: bytes = b"") -> None:
        """Write one frame, whole or not at all; raises JournalUnwritable."""
        pieces = frames.pack(self._marker, entry.kind, encode(entry), request, response)
        size = sum(map(len, pieces))
        try:
            if self._fd is None or self._distrusted or self._size >= self._segment_bytes:
                self._rotate()
            self._write(pieces, size)
        except OSError as error:
            raise JournalUnwritable(f"{self._folder}: {error.strerror or error}") from error
        self._size += size
        self._dirty = True

    def _write(self, pieces: list[bytes], size: int) -> None:
        assert self._fd is not None
        try:
            written = os.writev(self._fd, pieces)
            while written < size:
                written += os.write(self._fd, b"".join(pieces)[written:])
        except OSError:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        assert self._fd is not None
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._distrusted = True

    def _rotate(self) -> None:
        fd = segments.create(segments.segment_path(self._folder, self._lane, self._number + 1))
        with self._swap:
            old, self._fd = self._fd, fd
            self._number += 1
            self._size = 0
            self._distrusted = False
            if old is not None:
                self._retired.append(old)

    async def durable(self) -> None:
        """With `fsync="always"`, wait until what was appended is on the disk.

        Raises JournalUnwritable where the sync failed: append again then, into a new segment.
        """
        if not self._always:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        if self._syncing is None or self._syncing.done():
            self._syncing = asyncio.create_task(self._sync_for_waiting())
        await waiter

    async def _sync_for_waiting(self) -> None:
        while self._waiting:
            served, self._waiting = self._waiting, []
            done = await asyncio.to_thread(self._sync_all)
            for waiter in served:
                if waiter.done():
                    continue
                if done:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(JournalUnwritable(f"{self._folder}: fsync failed"))

    def _sync_regularly(self) -> None:
        while not self._stopped.wait(SYNC_SECONDS):
            if self._dirty:
                self._dirty = False
                self._sync_all()

    def _sync_all(self) -> bool:
        """Sync the active segment and those before it that were not yet; false if one failed.

        Appending goes on meanwhile: only this method closes files, and one at a time runs it.
        """
        with self._one_sync:
            with self._swap:
                retired, self._retired, active = self._retired, [], self._fd
            results = [self._sync(fd) for fd in (*retired, active) if fd is not None]
            for fd in retired:
                os.close(fd)
        return all(results)

    def _sync(self, fd: int) -> bool:
        try:
            os.fdatasync(fd)
        except OSError:
            self.sync_failures += 1
            self._distrusted = True
            return False
        return True

    def close(self) -> None:
        """Sync and end the lane; what is still open in it is known to be over."""
        self._stopped.set()
        self._sync_all()
        with self._one_sync, self._swap:
            for fd in (self._fd, self._lock):
                if fd is not None:
                    with contextlib.suppress(OSError):
                        os.close(fd)
            self._fd = None
