"""Texts that grow from event to event: held back until it is settled what stands in them.

Owns the channels of a stream, its events in order, and that a finding which lies across several
events is masked as one: the mask stands in the first, the others lose their part. An event leaves
as soon as everything in it is settled, which for ordinary words is when the next word begins.
Sans-io.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from proxy.screening.leaves import PASSED, Leaf, found_in, leaves, mask
from proxy.screening.masks import Masks
from proxy.screening.screen import Finding, Screen, Wanted, goes_on, is_blob

GROWING = frozenset(
    {
        "content",
        "text",
        "delta",
        "arguments",
        "partial_json",
        "thinking",
        "reasoning",
        "reasoning_content",
        "refusal",
        "transcript",
        "response",
        "input",
    }
)
"""Members whose text goes on in the next event."""
_NUMBERS = ("index", "output_index", "content_index", "summary_index")
"""Members that tell apart what comes by turns."""
QUIET_EVENTS = 32
"""A text that got nothing in so many events is at its end."""
_CONTEXT_CHARACTERS = 8
_ENDS = (".done", ".completed", "_stop")
"""Ends of the types of events after which texts do not go on."""


@dataclass(slots=True)
class Event:
    """One event on its way; `shown` is what it was made from."""

    document: Any
    shown: bytes = b""
    waits: int = 0
    """Texts in it that are not settled."""
    changed: bool = False


@dataclass(slots=True)
class _Piece:
    event: Event
    leaf: Leaf


@dataclass(slots=True)
class _Channel:
    before: str = ""
    """The end of what was settled, as far as what comes depends on it."""
    pieces: list[_Piece] = field(default_factory=list)
    quiet: int = 0


class Growing:
    """Takes events and gives those that are settled: `add`, and `finish` for the rest."""

    def __init__(self, screen: Screen, masks: Masks, *, ends: bool = True) -> None:
        """`ends`: a finding for which it is refused ends it; else it is masked like others."""
        self._ends = ends
        self._screen = screen
        self._masks = masks
        self._channels: dict[Any, _Channel] = {}
        self._events: deque[Event] = deque()
        self.seen: dict[Wanted, set[str]] = {}
        """What was found, by its mask."""
        self.refused: Wanted | None = None
        """What ends it. Nothing comes any more."""

    def add(self, event: Event) -> list[Event]:
        """The events that are settled now."""
        self._events.append(event)
        document = event.document
        if isinstance(document, dict | list):
            self._look_at_whole(event)
            self._look_at_growing(event)
            kind = document.get("type") if isinstance(document, dict) else None
            over = isinstance(kind, str) and kind.endswith(_ENDS)
            for channel in self._channels.values():
                channel.quiet += 1
                if channel.pieces and (over or channel.quiet > QUIET_EVENTS):
                    self._settle(channel, final=True)
        return self._settled()

    def finish(self) -> list[Event]:
        """All that is left."""
        for channel in self._channels.values():
            self._settle(channel, final=True)
        return self._settled()

    def _look_at_whole(self, event: Event) -> None:
        """At the strings that do not go on."""
        found = [leaf for leaf in leaves(event.document) if leaf.is_name or not _grows(leaf)]
        if not found:
            return
        for leaf, spans in zip(found, found_in(self._screen, [x.text for x in found]), strict=True):
            acting = [span for span in spans if self._noted(span, leaf.text, event)]
            if acting:
                mask(leaf, acting, self._masks)
                event.changed = True

    def _look_at_growing(self, event: Event) -> None:
        for key, leaf in growing_texts(event.document):
            if is_blob(leaf.text):
                continue
            channel = self._channels.setdefault(key, _Channel())
            channel.pieces.append(_Piece(event, leaf))
            channel.quiet = 0
            event.waits += 1
            self._settle(channel, final=False)

    def _noted(self, span: Finding, text: str, event: Event) -> bool:
        """Keep that it was found; whether it is to be masked."""
        masked = self._masks.of(span.of.name, text[span.start : span.end])
        self.seen.setdefault(span.of, set()).add(masked)
        if self._ends and span.of.action == "refuse" and self.refused is None:
            self.refused = span.of
            while self._events and self._events[-1] is not event:
                self._events.pop()
            if self._events:
                self._events[-1].waits += 1  # it stays here
        return span.of.action != "note"

    def _settle(self, channel: _Channel, *, final: bool) -> None:
        """Let go of the pieces that more text would not change."""
        before = len(channel.before)
        text = channel.before + "".join(piece.leaf.text for piece in channel.pieces)
        found = self._screen.find(text, before)
        until = len(text) if final else self._screen.settled(text, found)
        count, end = _let_go(channel.pieces, before, until, found)
        if not count:
            return
        done, channel.pieces = channel.pieces[:count], channel.pieces[count:]
        self._change(done, before, text, [span for span in found if span.end <= end])
        for piece in done:
            piece.event.waits -= 1
        known = text[:end]
        channel.before = known[max(0, min(goes_on(known), end - _CONTEXT_CHARACTERS)) :]

    def _change(self, done: list[_Piece], at: int, text: str, found: list[Finding]) -> None:
        if not found:
            return
        ends = [at]
        for piece in done:
            ends.append(ends[-1] + len(piece.leaf.text))
        first = {
            span: next(p for p, end in zip(done, ends[1:], strict=True) if span.start < end)
            for span in found
        }
        acting = [span for span in found if self._noted(span, text, first[span].event)]
        for piece, begin, end in zip(done, ends, ends[1:], strict=False):
            shown = self._without(text, begin, end, acting)
            if shown != piece.leaf.text:
                piece.leaf.put(shown)
                piece.event.changed = True

    def _without(self, text: str, begin: int, end: int, found: list[Finding]) -> str:
        """This part of the text, with the masks of what begins in it."""
        shown: list[str] = []
        for span in found:
            if span.end <= begin or span.start >= end:
                continue
            if span.start >= begin:
                value = text[span.start : span.end]
                shown += (text[begin : span.start], self._masks.of(span.of.name, value))
            begin = min(span.end, end)
        return "".join((*shown, text[begin:end]))

    def _settled(self) -> list[Event]:
        found: list[Event] = []
        while self._events and not self._events[0].waits:
            found.append(self._events.popleft())
        return found


def _let_go(pieces: list[_Piece], at: int, until: int, found: list[Finding]) -> tuple[int, int]:
    """How many pieces are settled, and where the last of them ends: never within a finding."""
    count, settled, spans = 0, at, iter(found)
    span = next(spans, None)
    for number, piece in enumerate(pieces, 1):
        at += len(piece.leaf.text)
        if at > until:
            break
        while span is not None and span.end <= at:
            span = next(spans, None)
        if span is None or span.start >= at:
            count, settled = number, at
    return count, settled


def _grows(leaf: Leaf) -> bool:
    return leaf.key in GROWING


def growing_texts(document: Any) -> Iterator[tuple[Any, Leaf]]:
    """The texts of an event that go on in the next, each with what tells its channel."""
    kind = document.get("type") if isinstance(document, dict) else None
    left: list[tuple[Any, Any]] = [((kind,), document)]
    while left:
        path, holder = left.pop()
        if isinstance(holder, dict):
            marks = tuple(holder.get(name) for name in _NUMBERS if name in holder)
            for key, child in holder.items():
                if key in PASSED:
                    continue
                if isinstance(child, str):
                    if child and key in GROWING:
                        yield (*path, *marks, key), Leaf(holder, key, child)
                elif isinstance(child, dict | list):
                    left.append(((*path, *marks, key), child))
        else:
            for number, child in enumerate(holder):
                if isinstance(child, dict | list):
                    numbered = isinstance(child, dict) and "index" in child
                    left.append((path if numbered else (*path, number), child))
