"""The lock that makes a poster the only one of its data folder.

Owns taking it, and telling whether somebody has it. The system lets go of it when the process ends,
however it ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from proxy.journal.segments import is_locked

NAME = "poster.lock"
_TRIES = 10
_PAUSE_SECONDS = 0.05


class PosterRunning(Exception):
    """Another poster works on the same data folder."""


def take(data_dir: Path) -> int:
    """The lock, held until it is closed with os.close. Raises PosterRunning.

    Waits a moment: whoever looks whether a poster runs holds it for an instant.
    """
    fd = os.open(data_dir / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for left in range(_TRIES, -1, -1):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if left:
                time.sleep(_PAUSE_SECONDS)
                continue
            holder = os.pread(fd, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise PosterRunning(
                f"another poster (process {holder}) already posts {data_dir}. "
                "Stop it, or use another data_dir."
            ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def is_taken(data_dir: Path) -> bool:
    """Whether a poster runs there."""
    try:
        return is_locked(data_dir / NAME)
    except OSError:
        return False
