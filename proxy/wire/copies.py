"""The copy of an answer's body, and the reader that collects it.

Owns pieces of any size, gaps, and the question whether the bytes are one JSON text or a stream of
events. Refuses to interpret either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.facts import ReplyFacts
from proxy.wire import sse
from proxy.wire.decode import loads, starts_json
from proxy.wire.partial import head_members, tail_levels
from proxy.wire.skim import events_with


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A JSON text. Of a cut one `value` holds the members that are certain, `tail` those of
    the objects that its end closes, the outermost first, and `parse_error` says so."""

    value: Any = None
    tail: tuple[dict[str, Any], ...] = ()
    parse_error: str | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """A body as captured. Between two segments bytes are missing."""

    segments: tuple[bytes, ...]

    @property
    def is_empty(self) -> bool:
        return not any(segment.strip() for segment in self.segments)

    @property
    def is_json(self) -> bool:
        return starts_json(self._beginning)

    @property
    def _beginning(self) -> bytes:
        return next((segment for segment in self.segments if segment.strip()), b"")

    @property
    def has_gap(self) -> bool:
        return len(self.segments) > 1

    def document(self) -> Document:
        """The body read as one JSON text."""
        head = self.segments[0]
        if self.has_gap:
            tail = tail_levels(self.segments[-1])
            value = {**head_members(head), **(tail[0] if tail else {})}
            return Document(value=value, tail=tuple(tail), parse_error="bytes are missing")
        try:
            return Document(value=loads(head))
        except ValueError as error:
            return Document(value=head_members(head), parse_error=f"incomplete JSON: {error}")

    def streams(self) -> Iterator[bytes]:
        """The segments as text with LF line ends, without the events that a gap cut."""
        last = len(self.segments) - 1
        for number, segment in enumerate(self.segments):
            text = sse.whole_text(segment)
            if number > 0:
                text = text.partition(b"\n\n")[2]
            if number < last:
                text = text.rpartition(b"\n\n")[0]
            yield text

    def blocks(self) -> Iterator[bytes]:
        """All events, each as a block of lines."""
        for text in self.streams():
            yield from text.split(b"\n\n")

    def telling(self, keys: Sequence[bytes]) -> Iterator[bytes]:
        """The events with one of these keys, each as a block of lines."""
        for text in self.streams():
            yield from events_with(text, keys=keys)

    def torn(self) -> list[dict[str, Any]]:
        """The levels, as of `tail_levels`, of the event whose beginning the last gap took."""
        if not self.has_gap:
            return []
        event = sse.whole_text(self.segments[-1]).partition(b"\n\n")[0]
        try:  # the gap may have taken no more than the field's name
            whole = loads(event[event.find(b"{") :])
        except ValueError:
            return tail_levels(event)
        return [whole] if isinstance(whole, dict) else []

    def words(self) -> str:
        """The body as text: the message of an error that is neither JSON nor a stream."""
        return self._beginning[:20_000].decode("utf-8", "replace").strip()


@dataclass(slots=True)
class CopyReader:
    """A `ReplyReader` that collects the copy and has `interpret` read it at the end."""

    interpret: Callable[[Copy], ReplyFacts]
    _segments: list[list[bytes]] = field(default_factory=lambda: [[]])

    def feed(self, data: bytes) -> None:
        self._segments[-1].append(data)

    def gap(self) -> None:
        self._segments.append([])

    def finish(self) -> ReplyFacts:
        copy = Copy(tuple(b"".join(pieces) for pieces in self._segments))
        try:
            return self.interpret(copy)
        except Exception as fault:  # a reader's fault must not reach traffic or stop the poster
            return ReplyFacts(parse_error=f"reader failed: {type(fault).__name__}: {fault}"[:200])


def heard(blocks: Iterable[bytes], hear: Callable[[Any], object]) -> int:
    """Give each document in these blocks to `hear`. How many blocks could not be read; the last one
    is not counted: it was cut with the stream."""
    unreadable, block = 0, b""
    for block in blocks:
        found, whole = documents(block)
        unreadable += not whole
        for document in found:
            hear(document)
    return unreadable - (unreadable > 0 and not documents(block)[1])


def documents(block: bytes) -> tuple[list[Any], bool]:
    """The JSON values in one event's data, and whether all of it could be read.

    Some speakers leave out the blank line between events: then each line is a value.
    """
    event = sse.parsed(block)
    if event is None or not _holds_json(event.data):
        return [], True
    try:
        return [loads(event.data)], True
    except ValueError:
        if b"\n" not in event.data:
            return [], False
    return _each_line(event.data)


def _each_line(data: bytes) -> tuple[list[Any], bool]:
    found, whole = [], True
    for line in data.split(b"\n"):
        if not _holds_json(line):
            continue
        try:
            found.append(loads(line))
        except ValueError:
            whole = False
    return found, whole


def _holds_json(data: bytes) -> bool:
    return starts_json(data) and data.strip() != b"[DONE]"
