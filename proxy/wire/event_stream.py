"""AWS event streams: binary messages with checksums (application/vnd.amazon.eventstream).

Owns framing, checksums, headers, and finding the next message behind bytes that are none. Messages
that only bring more text can be set aside unread, as nine in ten of a long answer do: their
checksum is looked at when their text is. Refuses to trust any other length before its checksum, and
to interpret payloads.

The encoding: https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from struct import Struct
from typing import NamedTuple
from zlib import crc32

_PRELUDE = Struct(">III")
"""Length of the message, length of its headers, checksum of these two."""
_CHECKSUM = Struct(">I")
_OVERHEAD = _PRELUDE.size + _CHECKSUM.size
_LONGEST = 1 << 24
"""No message is longer, so the first byte of each is 0."""
_MOST_TRIES = 1_000_000
"""Places looked at for the next message; what comes after so many is given up."""
_BYTES_PER_TRY = 1024
"""Of a message with a wrong checksum, which costs as much time as looking at one place."""
_STRING = 7
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_SIZED = (6, _STRING)


class Message(NamedTuple):
    """One message: its headers that are strings, and its payload."""

    headers: Mapping[str, str]
    payload: bytes

    @property
    def event(self) -> str | None:
        return self.headers.get(":event-type")


def payload_of(message: bytes) -> bytes:
    """The payload of a message that was set aside; empty where its checksum is another."""
    checked = message[: -_CHECKSUM.size]
    if crc32(checked) != int.from_bytes(message[-_CHECKSUM.size :]):
        return b""
    return checked[_PRELUDE.size + int.from_bytes(message[4:8]) :]


class MessageSplitter:
    """`feed` returns the messages that are complete.

    `is_text` says of a message whether it brings nothing but text: by how many bytes of its payload
    others like it, with the same headers, can be told; None where it is none.
    """

    def __init__(self, is_text: Callable[[Message], int | None] | None = None) -> None:
        self.texts: list[bytes] = []
        """The messages that bring nothing but text."""
        self._is_text = is_text
        self._like_text: bytes | None = None
        """How the last of them began, behind its prelude."""
        self.skipped_bytes = 0
        """Bytes that were no message, apart from those at a gap."""
        self._held: list[bytes] = []
        self._length = 0
        self._wanted = _PRELUDE.size
        self._tries = 0
        self._at_gap = False

    @property
    def is_torn(self) -> bool:
        """Whether what has been fed ends within a message."""
        return self._length > 0

    def feed(self, data: bytes) -> list[Message]:
        self._held.append(data)
        self._length += len(data)
        if self._length < self._wanted:
            return []  # a long message is joined only once
        text = b"".join(self._held)
        found: list[Message] = []
        at = 0
        self._wanted = _PRELUDE.size
        while len(text) - at >= _PRELUDE.size:
            begin = at
            at, missing = self._take(text, at, found)
            self._at_gap = self._at_gap and at == begin
            if missing:
                self._wanted = missing
                break
            at = self._behind(text, at)
        self._hold(text[at:])
        return found

    def gap(self) -> None:
        """Bytes are missing here: what follows may begin within a message."""
        self._hold(b"")
        self._wanted = _PRELUDE.size
        self._at_gap = True

    def _take(self, text: bytes, at: int, found: list[Message]) -> tuple[int, int]:
        """Find the messages that follow each other from a place on.

        Returns where they end, and how many bytes from there on the next one needs; 0 where none
        begins, or it is not what its checksum says.
        """
        # A long answer has a hundred thousand messages, and this loop is most of reading it.
        total, prelude, shortest = len(text), _PRELUDE.unpack_from, _PRELUDE.size
        too_long, overhead = _LONGEST - _OVERHEAD, _OVERHEAD
        like_text, add_text = self._like_text, self.texts.append
        while at + shortest <= total:
            length, headers, checksum = prelude(text, at)
            if not headers <= length - overhead < too_long:
                return at, 0
            end = at + length
            if end > total:
                return at, length if crc32(text[at : at + 8]) == checksum else 0
            if like_text is not None and text.startswith(like_text, at + shortest):
                add_text(text[at:end])
            elif self._tell(text[at:end], shortest + headers, found):
                like_text = self._like_text
            else:
                return at, 0
            at = end
        return at, shortest

    def _tell(self, message: bytes, payload: int, found: list[Message]) -> bool:
        """Give a message out, or set it aside and take others like it for text. False where it is
        not what its checksum says, which covers the prelude and that of the prelude."""
        end = len(message) - _CHECKSUM.size
        if crc32(message[:end]) != int.from_bytes(message[end:]):
            return False
        told = Message(_headers(message[_PRELUDE.size : payload]), message[payload:end])
        alike = self._is_text(told) if self._is_text else None
        if alike is None:
            found.append(told)
        else:
            self.texts.append(message)
            self._like_text = message[_PRELUDE.size : payload + alike]
        return True

    def _hold(self, rest: bytes) -> None:
        self._held, self._length = [rest], len(rest)

    def _behind(self, text: bytes, at: int) -> int:
        """Where the next message may begin, behind a place where none does."""
        self._tries += _size(text, at) // _BYTES_PER_TRY
        spot = text.find(b"\0", at + 1)
        while 0 <= spot <= len(text) - _PRELUDE.size and not _size(text, spot):
            self._tries += 1
            spot = text.find(b"\0", spot + 1) if self._tries < _MOST_TRIES else -1
        spot = len(text) if spot < 0 or self._tries >= _MOST_TRIES else spot
        if not self._at_gap:
            self.skipped_bytes += spot - at
        return spot


def _size(text: bytes, at: int) -> int:
    """The length of the message that begins here, 0 where none does."""
    length, headers, checksum = _PRELUDE.unpack_from(text, at)
    if not _OVERHEAD + headers <= length < _LONGEST or crc32(text[at : at + 8]) != checksum:
        return 0
    return int(length)


@lru_cache(maxsize=256)
def _headers(block: bytes) -> Mapping[str, str]:
    """The headers that are strings. The same few blocks repeat all through a stream."""
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            name_end = at + 1 + block[at]
            name, kind = block[at + 1 : name_end], block[name_end]
            at = name_end + 1
            size = _FIXED_SIZES.get(kind, 0)
            if kind in _SIZED:
                size = int.from_bytes(block[at : at + 2])
                at += 2
            elif kind not in _FIXED_SIZES:
                break
            if kind == _STRING:
                found[name.decode("utf-8", "replace")] = block[at : at + size].decode(
                    "utf-8", "replace"
                )
            at += size
    except IndexError:
        pass  # the last one is cut: those before it hold
    return found
