"""Server-sent events, split incrementally (WHATWG HTML, section 9.2.6).

Owns line ends, comments, multi-line data and events cut at any byte. Refuses to interpret data.
"""

from __future__ import annotations

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its name (None where the stream gave none) and its data."""

    name: bytes | None
    data: bytes


class EventSplitter:
    """`feed` returns the events that are complete; `flush` the one that lacks its blank line."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._at_start = True

    def feed(self, data: bytes) -> list[Event]:
        self._held.append(data)
        if b"\n" not in data and b"\r" not in data:
            return []  # no line ends here, so no event does: long events are joined only once
        text = self._take()
        half = b""
        if text.endswith(b"\r"):  # perhaps half of a CRLF
            text, half = text[:-1], b"\r"
        complete, blank, rest = unix_lines(text).rpartition(b"\n\n")
        self._held = [rest + half]
        if not blank:
            return []
        return [event for block in self._body(complete).split(b"\n\n") if (event := parsed(block))]

    def flush(self) -> list[Event]:
        event = parsed(self._body(unix_lines(self._take())))
        return [event] if event else []

    def gap(self) -> None:
        """Bytes are missing here: forget the event under way."""
        self._held = []

    def _take(self) -> bytes:
        text, self._held = b"".join(self._held), []
        return text

    def _body(self, text: bytes) -> bytes:
        if not self._at_start:
            return text
        self._at_start = False
        return text.removeprefix(_BOM)


def unix_lines(text: bytes) -> bytes:
    """The text with CRLF and CR line ends made LF."""
    if b"\r" not in text:
        return text
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def whole_text(stream: bytes) -> bytes:
    """A whole stream with LF line ends: its events are what stands between blank lines."""
    return unix_lines(stream.removeprefix(_BOM))


def parsed(block: bytes) -> Event | None:
    """The event that a block of lines is, or None where it has no data."""
    if block.startswith(b"data: ") and b"\n" not in block:
        return Event(None, block[6:])
    name: bytes | None = None
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return Event(name, b"\n".join(data)) if data else None
