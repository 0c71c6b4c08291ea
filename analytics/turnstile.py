"""The turnstile in front of the store: many readers, or one writer, and nobody starves.

Owns two lock files beside the store. Whoever wants in takes the turn first and keeps it until
the store is theirs; so behind a waiting writer no new reader gets in. Refuses to open the store.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.004


class TurnstileBusy(Exception):
    """The deadline passed while another process of Meterline used the store."""


@contextmanager
def admitted(folder: Path, *, exclusive: bool, deadline: float) -> Iterator[None]:
    """Inside, the store is ours (exclusive) or shared with readers only.

    `deadline` is in terms of time.monotonic(). Raises TurnstileBusy. Where the folder cannot be
    written (a read-only copy), nobody posts either: readers go through.
    """
    turn = _open(folder / "store.turn")
    try:
        door = _open(folder / "store.lock")
    except BaseException:
        _close(turn)
        raise
    try:
        _lock(turn, fcntl.LOCK_EX, deadline)
        _lock(door, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH, deadline)
        _close(turn)
        turn = None
        yield
    finally:
        _close(turn)
        _close(door)


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return None
        raise


def _close(fd: int | None) -> None:
    if fd is not None:
        os.close(fd)


def _lock(fd: int | None, how: int, deadline: float) -> None:
    while fd is not None:
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TurnstileBusy("another Meterline process is using the store") from None
            time.sleep(_POLL_SECONDS)
