"""Spans: where in a text something was found.

Owns their order and what becomes of those that overlap. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

APART = "\x00"
"""Between texts that are looked through together: no finding goes across it."""

Find = Callable[[str], Iterator[tuple[int, int]]]
"""Gives the beginning and the end of each place, in a time linear in the text."""
T = TypeVar("T")


class Span(NamedTuple, Generic[T]):
    """A place in a text, and what found it."""

    start: int
    end: int
    of: T


def without_overlaps(found: Iterable[Span[T]]) -> list[Span[T]]:
    """In order; of those that overlap the one that begins first, of these the longest."""
    kept: list[Span[T]] = []
    for span in sorted(found, key=lambda each: (each.start, -each.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept
