"""Frames: how entries and bodies lie in a segment.

Owns the layout, the checksums and finding the way again behind damage. Sans-io: it sees bytes.

    marker 8 | kind 1 | version 1 | zero 2 | lengths of head, request, response 3 x 4
    | crc32 of the payload 4 | crc32 of the 28 bytes before 4 | head | request | response

The marker is random and differs from lane to lane, so that nobody can smuggle a frame into a
body: behind damage the next marker with a valid header is where reading goes on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

_FIELDS = struct.Struct("<8sBBHIIII")
_CHECK = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CHECK.size
VERSION = 1


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its place in the segment and its content."""

    start: int
    end: int
    kind: int
    head: bytes
    request: bytes
    response: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no frame: [start, end) of the segment."""

    start: int
    end: int
    reason: str


def pack(marker: bytes, kind: int, head: bytes, request: bytes, response: bytes) -> list[bytes]:
    """The pieces of a frame, to be written one after the other."""
    check = crc32(response, crc32(request, crc32(head)))
    front = _FIELDS.pack(marker, kind, VERSION, 0, len(head), len(request), len(response), check)
    return [front + _CHECK.pack(crc32(front)), head, request, response]


def scan(data: bytes, marker: bytes, base: int = 0) -> Iterator[Frame | Damage]:
    """The frames in `data`, which lies at offset `base` of a segment, and the damage between.

    Ends before the first frame that is not complete: a tail still being written, or torn. Where
    the next one would begin is the end of the last item.
    """
    at = 0
    while (header := _header(data, at, marker)) is not None:
        if header is _BROKEN:
            found = _resync(data, at + 1, marker)
            if found is None:
                return
            yield Damage(base + at, base + found, "no valid frame header")
            at = found
            continue
        kind, head, request, response, check = header
        start = at + HEADER_BYTES
        end = start + head + request + response
        if end > len(data):
            return
        if crc32(memoryview(data)[start:end]) == check:
            middle, last = start + head, start + head + request
            yield Frame(
                base + at, base + end, kind, data[start:middle], data[middle:last], data[last:end]
            )
        else:
            yield Damage(base + at, base + end, "checksum of the frame's payload")
        at = end


def first_frame_bytes(data: bytes, marker: bytes) -> int | None:
    """How long the frame at the start of `data` is, where its header is there and valid."""
    header = _header(data, 0, marker)
    if header is None or header is _BROKEN:
        return None
    return HEADER_BYTES + sum(header[1:4])


_BROKEN = (0, 0, 0, 0, 0)


def _header(data: bytes, at: int, marker: bytes) -> tuple[int, int, int, int, int] | None:
    """(kind, lengths of head, request, response, checksum), _BROKEN, or None at the end."""
    if at + HEADER_BYTES > len(data):
        return None
    found, kind, version, _, head, request, response, check = _FIELDS.unpack_from(data, at)
    front = memoryview(data)[at : at + _FIELDS.size]
    (expected,) = _CHECK.unpack_from(data, at + _FIELDS.size)
    if found != marker or version != VERSION or crc32(front) != expected:
        return _BROKEN
    return kind, head, request, response, check


def _resync(data: bytes, at: int, marker: bytes) -> int | None:
    while (at := data.find(marker, at)) >= 0:
        header = _header(data, at, marker)
        if header is None:
            return None
        if header is not _BROKEN:
            return at
        at += 1
    return None
