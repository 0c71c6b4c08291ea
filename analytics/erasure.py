"""Erasing exchanges from the journal, in place.

Owns overwriting: a frame of an exchange that goes becomes a frame of the same length that says
nothing. So places of other frames stay valid, a worker may append to the same segment meanwhile,
and the old bytes are gone from the disk's blocks too (on file systems that write in place). What
is about to be overwritten is noted first, so that after a crash the next run finishes it. Refuses
to decide what goes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from proxy.journal import Frame, Lost, frames, lanes
from proxy.journal.entries import decode, encode
from proxy.journal.segments import lane_of, marker_of, read_items

PENDING = "erasure.pending"
_IDS_AT_ONCE = 20_000
_WRITE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Erased:
    """How much was overwritten."""

    segments: int
    frames: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Bytes [start, end) of a segment, a frame."""

    segment: str
    start: int
    end: int


def erase(journal: Path, goes: Callable[[list[str]], set[str]]) -> Erased:
    """Overwrite the frames of the exchanges that `goes` picks out of the ids it is given."""
    finish(journal)
    places: list[_Place] = []
    for lane in lanes(journal):
        for segment in lane.segments:
            places += _places(segment, goes)
    if not places:
        return Erased(0, 0, 0)
    _note(journal, places)
    _overwrite_all(journal, places)
    return Erased(
        segments=len({place.segment for place in places}),
        frames=len(places),
        bytes=sum(place.end - place.start for place in places),
    )


def finish(journal: Path) -> None:
    """Overwrite what an earlier run had noted and may not have overwritten."""
    try:
        noted = orjson.loads((journal / PENDING).read_bytes())
    except FileNotFoundError:
        return
    _overwrite_all(journal, [_Place(*place) for place in noted])


def _places(segment: Path, goes: Callable[[list[str]], set[str]]) -> Iterator[_Place]:
    """The places of the segment's frames that go. A damaged or torn part is not looked into."""
    group: list[tuple[str, _Place]] = []
    try:
        for exchange_id, place in _frames(segment):
            group.append((exchange_id, place))
            if len(group) >= _IDS_AT_ONCE:
                yield from _going(group, goes)
                group = []
    except FileNotFoundError:
        pass
    yield from _going(group, goes)


def _frames(segment: Path) -> Iterator[tuple[str, _Place]]:
    for item in read_items(segment, 0):
        if not isinstance(item, Frame):
            continue
        try:
            entry = decode(item.kind, item.head)
        except ValueError:
            continue
        if not isinstance(entry, Lost):
            yield entry.exchange_id, _Place(segment.name, item.start, item.end)


def _going(
    group: list[tuple[str, _Place]], goes: Callable[[list[str]], set[str]]
) -> Iterable[_Place]:
    if not group:
        return []
    gone = goes(sorted({exchange_id for exchange_id, _ in group}))
    return [place for exchange_id, place in group if exchange_id in gone]


def _note(journal: Path, places: list[_Place]) -> None:
    """The note appears whole or not at all, and lasts before anything is overwritten."""
    new = journal / f"{PENDING}.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(orjson.dumps([(place.segment, place.start, place.end) for place in places]))
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, journal / PENDING)
    sync_folder(journal)


def _overwrite_all(journal: Path, places: list[_Place]) -> None:
    by_segment: dict[str, list[_Place]] = {}
    for place in places:
        by_segment.setdefault(place.segment, []).append(place)
    for name, here in by_segment.items():
        with suppress(FileNotFoundError):
            _overwrite(journal / name, here)
    (journal / PENDING).unlink(missing_ok=True)
    sync_folder(journal)


def _overwrite(segment: Path, places: list[_Place]) -> None:
    """Each frame by a blank one. The segment's age stays: it goes when it would have gone."""
    marker = marker_of(lane_of(segment))
    fd = os.open(segment, os.O_RDWR | os.O_CLOEXEC)
    try:
        before = os.fstat(fd)
        for place in places:
            if place.end <= before.st_size:
                _write_all(fd, blank_frame(marker, place.end - place.start), place.start)
        os.fsync(fd)
        os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view[:_WRITE_BYTES], at)
        view, at = view[written:], at + written


def blank_frame(marker: bytes, length: int) -> bytes:
    """A frame of this length that says that nothing was lost; a reader passes over it."""
    head = encode(Lost(at=int(time.time() * 1_000_000), reason="erased", count=0))
    room = length - frames.HEADER_BYTES
    if len(head) > room:
        raise ValueError(f"a frame of {length} bytes has no room to be blank")
    return b"".join(frames.pack(marker, Lost.kind, head.ljust(room), b"", b""))


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
