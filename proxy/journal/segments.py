"""Segments and lanes: the journal's files.

A lane is one run of one worker: its segments `LANE.000001.seg`, `LANE.000002.seg`, ... and the
file `LANE.lock`, which the worker keeps locked as long as it lives. Owns names, locks,
permissions and reading. Refuses to write frames.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proxy.journal.frames import HEADER_BYTES, Damage, Frame, first_frame_bytes, scan

_NAME = re.compile(r"([0-9a-f]{12}-[0-9a-f]{16})\.(\d{6,})\.seg")
_LOCK = re.compile(r"([0-9a-f]{12}-[0-9a-f]{16})\.lock")
READ_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Lane:
    """One run of one worker, as its files show it."""

    name: str
    alive: bool
    """Its worker lived when the files were listed."""
    segments: tuple[Path, ...]
    """In the order in which they were written."""

    @property
    def marker(self) -> bytes:
        return marker_of(self.name)


def new_lane_name() -> str:
    return f"{int(time.time() * 1000):012x}-{secrets.token_hex(8)}"


def marker_of(lane: str) -> bytes:
    return bytes.fromhex(lane.partition("-")[2])


def lane_of(segment: Path) -> str:
    """The lane to which a segment's file belongs."""
    return segment.name.partition(".")[0]


def segment_path(folder: Path, lane: str, number: int) -> Path:
    return folder / f"{lane}.{number:06d}.seg"


def lock_path(folder: Path, lane: str) -> Path:
    return folder / f"{lane}.lock"


def take_lane(folder: Path, lane: str) -> int:
    """Create and lock the lane's lock file; it appears under its name only once it is locked."""
    path = lock_path(folder, lane)
    hidden = path.with_suffix(".lock-new")
    fd = create(hidden)
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.rename(hidden, path)
    return fd


def create(path: Path) -> int:
    """Open a new file for appending, readable by its owner only whatever the umask."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.fchmod(fd, 0o600)
    return fd


def prepare_folder(folder: Path) -> None:
    """Make the folder if it is missing, and keep others out of it."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o777 != 0o700:
        folder.chmod(0o700)


def lanes(folder: Path) -> list[Lane]:
    """The lanes in the folder, oldest first.

    Whether one lives is asked before its files are listed, so that a dead lane has no segment
    that is missing here. A lane that appeared in between counts as living.
    """
    alive = {lane: is_locked(lock_path(folder, lane)) for lane in _locked_names(folder)}
    found: dict[str, list[tuple[int, Path]]] = {}
    for name in _names(folder):
        if match := _NAME.fullmatch(name):
            found.setdefault(match[1], []).append((int(match[2]), folder / name))
    return [
        Lane(
            lane,
            alive[lane] if lane in alive else lock_path(folder, lane).exists(),
            tuple(path for _, path in sorted(found[lane])),
        )
        for lane in sorted(found)
    ]


def idle_locks(folder: Path) -> list[Path]:
    """Lock files of lanes that are dead."""
    paths = (lock_path(folder, lane) for lane in _locked_names(folder))
    return [path for path in paths if not is_locked(path)]


def read_items(
    segment: Path, offset: int, read_bytes: int = READ_BYTES
) -> Iterator[Frame | Damage]:
    """The frames and the damage of a segment from `offset` on, up to its incomplete tail."""
    marker = marker_of(lane_of(segment))
    with open(segment, "rb", buffering=0) as file:
        while True:
            data = os.pread(file.fileno(), read_bytes, offset)
            longer = first_frame_bytes(data, marker)
            if longer is not None and longer > len(data) == read_bytes:
                data = os.pread(file.fileno(), longer, offset)
            end = offset
            for item in scan(data, marker, offset):
                end = item.end
                yield item
            if end == offset:
                if len(data) < read_bytes:
                    return
                read_bytes *= 2  # damage longer than a read
            offset = end


def read_frame(segment: Path, offset: int) -> Frame | None:
    """The frame at `offset`, None where there is none (any more)."""
    try:
        item = next(read_items(segment, offset, HEADER_BYTES), None)
    except FileNotFoundError:
        return None
    return item if isinstance(item, Frame) and item.start == offset else None


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _locked_names(folder: Path) -> list[str]:
    return [match[1] for name in _names(folder) if (match := _LOCK.fullmatch(name))]


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of this file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False
