"""A stream held back: bytes in, and out what is settled of them.

Owns framing: server-sent events and JSON lines. What needs no change leaves byte for byte as it
came; a changed event keeps its other lines. Refuses to read what is neither. Sans-io.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from proxy.screening.bodies import Screened, refused
from proxy.screening.growing import Event, Growing
from proxy.screening.masks import Masks
from proxy.screening.screen import Screen
from proxy.wire.sse import parsed, unix_lines

LONGEST_EVENT_BYTES = 8 << 20
_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE_END = re.compile(rb"\n")


class HeldStream:
    """`feed` and `finish` give what may go on."""

    def __init__(self, growing: Growing, *, lines: bool, strict: bool = False) -> None:
        """`lines`: JSON lines, else server-sent events; `strict`: what is too long to be looked
        through does not pass."""
        self._strict = strict
        self._growing = growing
        self._lines = lines
        self._mark = _LINE_END if lines else _BLANK_LINE
        self._rest = bytearray()
        self._looked = 0
        self.unread = False
        """An event was too long to be looked through: from there on all passes as it comes."""

    def feed(self, data: bytes) -> bytes:
        if self.unread:
            return data
        self._rest += data
        shown: list[bytes] = []
        begin = 0
        for mark in self._mark.finditer(self._rest, self._looked):
            if mark.end() > begin:
                shown += self._taken(bytes(self._rest[begin : mark.end()]))
                begin = mark.end()
        del self._rest[:begin]
        self._looked = max(0, len(self._rest) - 3)
        if len(self._rest) > LONGEST_EVENT_BYTES:
            self.unread = True
            shown += map(self._shown, self._growing.finish())
            shown.append(b"" if self._strict else bytes(self._rest))
            self._rest.clear()
        return b"".join(shown)

    @property
    def ends(self) -> bool:
        """It cannot be looked through any more, and must not pass so."""
        return self.unread and self._strict

    def finish(self) -> bytes:
        shown = self._taken(bytes(self._rest)) if self._rest else []
        self._rest.clear()
        if self._growing.refused is None:
            shown += map(self._shown, self._growing.finish())
        return b"".join(shown)

    def _taken(self, raw: bytes) -> list[bytes]:
        if self._growing.refused is not None:
            return []
        event = Event(read_event(raw, lines=self._lines), raw)
        return [self._shown(settled) for settled in self._growing.add(event)]

    def _shown(self, event: Event) -> bytes:
        if not event.changed:
            return event.shown
        document = orjson.dumps(event.document)
        if self._lines:
            return document + b"\n"
        kept = [
            line
            for line in unix_lines(event.shown).strip(b"\n").split(b"\n")
            if line.partition(b":")[0] != b"data"
        ]
        return b"\n".join([*kept, b"data: " + document]) + b"\n\n"


def through(data: bytes, screen: Screen, masks: Masks, *, lines: bool) -> Screened:
    """A stream that is there as a whole; all of it is masked, whatever was found."""
    growing = Growing(screen, masks, ends=False)
    held = HeldStream(growing, lines=lines)
    shown = held.feed(data) + held.finish()
    return Screened(shown, shown != data, growing.seen, refused(growing.seen))


def documents(data: bytes, lines: bool) -> bytes:
    """The JSON of its events, as a list."""
    mark = _LINE_END if lines else _BLANK_LINE
    found = (read_event(raw, lines=lines) for raw in mark.split(data))
    return orjson.dumps([each for each in found if each is not None])


def read_event(raw: bytes, *, lines: bool) -> Any:
    """The JSON of an event; None where it has none."""
    if not lines:
        event = parsed(unix_lines(raw).strip(b"\n"))
        if event is None:
            return None
        raw = event.data
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
