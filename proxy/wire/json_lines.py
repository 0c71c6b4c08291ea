"""Newline-delimited JSON: one value a line (application/x-ndjson, application/stream+json).

Owns cutting a copy into lines, finding the few that say more than text, and what a torn line still
says. Refuses to interpret them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from proxy.wire.decode import loads
from proxy.wire.partial import head_members, tail_levels
from proxy.wire.sse import whole_text


class Line(NamedTuple):
    """The members of one line's object; `is_torn`: a gap or the end of the copy went through it."""

    members: dict[str, Any]
    is_torn: bool = False


class Lines:
    """The lines of a copy. A body that is one JSON text, however laid out, is one line."""

    def __init__(self, segments: Sequence[bytes]) -> None:
        self.unreadable = 0
        """Lines that are whole, and no JSON objects."""
        self._texts = [whole_text(segment) for segment in segments]
        self.is_document = _is_document(self._texts)

    def all(self) -> Iterator[Line]:
        """Every line that can be read."""
        for number, text in enumerate(self._texts):
            lines = [text] if self.is_document else text.split(b"\n")
            last = len(lines) - 1
            for place, line in enumerate(lines):
                yield from self._read(line, cut=number > 0 and place == 0, open_ended=place == last)

    def telling(self, keys: Sequence[bytes]) -> Iterator[Line]:
        """The first line and the last, those that hold one of the keys, and the torn ones."""
        if self.is_document:
            yield from self.all()
            return
        for number, text in enumerate(self._texts):
            end = 0
            for spot in _spots(text, keys):
                if spot < end:
                    continue
                start = text.rfind(b"\n", 0, spot) + 1
                end = text.find(b"\n", spot) + 1
                open_ended = not end
                end = end or len(text)
                cut = number > 0 and start == 0
                yield from self._read(text[start:end], cut=cut, open_ended=open_ended)

    def _read(self, line: bytes, *, cut: bool, open_ended: bool) -> Iterator[Line]:
        line = line.strip()
        if not line:
            return
        try:
            value = loads(line)
        except ValueError:
            value = None
        if isinstance(value, dict):
            yield Line(value)
        elif cut:
            yield from (Line(level, is_torn=True) for level in tail_levels(line)[:1])
        elif open_ended and line.startswith(b"{"):
            yield Line(head_members(line), is_torn=True)
        else:
            self.unreadable += line.startswith(b"{")


def _is_document(texts: Sequence[bytes]) -> bool:
    first, _, rest = texts[0].lstrip().partition(b"\n")
    if rest.strip():
        try:
            loads(first)
        except ValueError:
            return True  # laid out over several lines
        return False
    last = texts[-1].rstrip().rpartition(b"\n")[2]
    return len(texts) == 1 or not last.startswith(b"{")


def _spots(text: bytes, keys: Sequence[bytes]) -> list[int]:
    """Where the first line and the last are, and all that hold a key, in order."""
    spots = [len(text) - len(text.lstrip()), max(len(text.rstrip()) - 1, 0)]
    for key in keys:
        spot = text.find(key)
        while spot >= 0:
            spots.append(spot)
            end = text.find(b"\n", spot)
            spot = -1 if end < 0 else text.find(key, end)
    return sorted(spots)
