"""Finding the few events of a long stream that say more than text.

Owns a search over whole streams at memory speed, so that the nine events in ten that bring
another word of text need not be parsed. Refuses to interpret the events that it finds.

In a JSON text a quoted key stands for itself: inside a string its quotes would be escaped. So
searching for keys can find too much, but never too little.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

_BLANK = b"\n\n"
_SAMPLE_BYTES = 65_536
_EMPTY = (b":null", b": null", b":[]", b": []")
_BEGINNING = 16


def first_events(text: bytes, enough: Callable[[], bool]) -> Generator[bytes, None, int]:
    """The events at the beginning, until it is `enough`; returns the offset of the next one.

    Comments do not count; after some events nothing new is to be expected.
    """
    at = seen = 0
    while at < len(text) and seen < _BEGINNING and not enough():
        end = _end(text, at)
        block = text[at:end]
        at = end + len(_BLANK)
        seen += not block.startswith(b":")
        yield block
    return at


def events_with(
    text: bytes,
    *,
    keys: Sequence[bytes],
    nullable: Sequence[bytes] = (),
    cumulative: Sequence[bytes] = (),
    start: int = 0,
) -> Iterator[bytes]:
    """The events from `start` on that hold one of the `keys`, in order, and the last event.

    A `nullable` key counts where it is not empty. Of the events with a `cumulative` key only the
    last two are given: the very last may be cut.
    """
    probe = _masked(text, (*nullable, *cumulative))
    spots = [spot for key in (*keys, *nullable) for spot in spots_of(probe, key, start)]
    for key in cumulative:
        spots += _last_spots(probe, key, start)
    if (last := len(text.rstrip()) - 1) >= start:
        spots.append(last)
    yield from pieces_at(text, spots, _BLANK, start, len(text))


def _masked(text: bytes, keys: Sequence[bytes]) -> bytes:
    """The text with those keys misspelt whose value is empty; every offset stays."""
    sample = text[:_SAMPLE_BYTES]
    for key in keys:
        for empty in _EMPTY:
            if key + empty in sample:
                text = text.replace(key + empty, key[:-2] + b'~"' + empty)
    return text


def pieces_at(
    text: bytes, spots: Iterable[int], between: bytes, start: int, end: int
) -> Iterator[bytes]:
    """The pieces of text from `start` to `end`, divided by `between`, in which the `spots` lie."""
    done = start
    for spot in sorted(spots):
        if done <= spot < end:
            before = text.rfind(between, start, spot)
            after = text.find(between, spot, end)
            done = end if after < 0 else after
            yield text[start if before < 0 else before + len(between) : done]


def spots_of(text: bytes, key: bytes, start: int) -> Iterator[int]:
    """Where the key stands, from `start` on."""
    spot = text.find(key, start)
    while spot >= 0:
        yield spot
        spot = text.find(key, spot + len(key))


def _last_spots(text: bytes, key: bytes, start: int) -> list[int]:
    """Where the key stands in the last two events that have it."""
    last = text.rfind(key, start)
    if last < 0:
        return []
    begin = text.rfind(_BLANK, start, last)
    previous = text.rfind(key, start, begin) if begin >= 0 else -1
    return [last] if previous < 0 else [previous, last]


def _end(text: bytes, at: int) -> int:
    end = text.find(_BLANK, at)
    return len(text) if end < 0 else end
