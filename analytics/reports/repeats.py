"""Requests that were asked before, exactly or nearly.

Owns the simulation of a cache of answers: an answer that came whole serves the same request again
until it is too old. Pure: requests in order of time in, repeats out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from analytics.reports.prompt_text import common_prefix
from analytics.reports.requests import Sketch

SIMILAR = 0.8
"""Jaccard similarity of three-word shingles from which on two texts are nearly the same."""
_EDGE_WORDS, _EDGE_CHARACTERS = 8, 160
_LOOKED_AT = 2_000
_NEIGHBOURS = 20
_SHINGLE = 3
_LENGTHS = 0.7
"""What is so much shorter cannot have enough in common."""
_EDGES = 0.3
_FEWEST_WORDS = 6


class Asked(NamedTuple):
    """A request at its time; `answered`: its answer came whole and could be served again."""

    exchange_id: str
    at: datetime
    sketch: Sketch
    answered: bool


class Repeat(NamedTuple):
    """An exchange, and the one whose answer would have served it."""

    exchange_id: str
    of: str


def exact(requests: Iterable[Asked], keep: timedelta) -> Iterator[Repeat]:
    """Those that a cache would have answered which keeps answers so long after they were given."""
    kept: dict[tuple[bytes, str | None], Asked] = {}
    for each in requests:
        first = kept.get(each.sketch.same)
        if first is not None and each.at - first.at <= keep:
            yield Repeat(each.exchange_id, first.exchange_id)
        elif each.answered:
            kept[each.sketch.same] = each


def near(requests: Iterable[Asked], keep: timedelta) -> Iterator[Repeat]:
    """Those that differ from an earlier one in the last user's text alone, and little there.

    Compared are texts that begin or end with the same eight words (case and spacing do not
    matter), each with the last twenty of those. They have to be the same for three tenths of their
    length, from both ends together, and their shingles of three words have to agree to SIMILAR.

    Of long texts the first and the last 2,000 characters are looked at. A similar question may want
    another answer: these are candidates, to be looked at.
    """
    kept: dict[_Place, list[Asked]] = {}
    for each in requests:
        places = _places(each.sketch)
        first = next(
            (
                other
                for place in places
                for other in reversed(kept.get(place, ()))
                if each.at - other.at <= keep and _is_similar(each.sketch, other.sketch)
            ),
            None,
        )
        if first is not None:
            yield Repeat(each.exchange_id, first.exchange_id)
        elif each.answered:
            for place in places:
                neighbours = kept.setdefault(place, [])
                neighbours.append(each)
                del neighbours[:-_NEIGHBOURS]


_Place = tuple[bytes, str, tuple[str, ...]]


def _places(sketch: Sketch) -> list[_Place]:
    """Where texts like this one are found: by how they begin and how they end."""
    if sketch.text is None:
        return []
    begins = _words(sketch.text[:_EDGE_CHARACTERS])[:_EDGE_WORDS]
    if len(begins) < _FEWEST_WORDS:
        return []
    ends = _words(sketch.text[-_EDGE_CHARACTERS:])[-_EDGE_WORDS:]
    return [(sketch.frame, "begins", tuple(begins)), (sketch.frame, "ends", tuple(ends))]


def _is_similar(one: Sketch, other: Sketch) -> bool:
    if one.text is None or other.text is None or one.text == other.text:
        return False
    shorter, longer = sorted((len(one.text), len(other.text)))
    if shorter < _LENGTHS * longer:
        return False
    alike = common_prefix(one.text, other.text)
    if alike < _EDGES * longer:
        alike += common_prefix(one.text[::-1], other.text[::-1])
    if alike < _EDGES * longer:
        return False
    first, second = _shingles(one.text), _shingles(other.text)
    return len(first & second) >= SIMILAR * len(first | second)


@lru_cache(maxsize=4096)
def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    if len(text) > 2 * _LOOKED_AT:
        text = f"{text[:_LOOKED_AT]} {text[-_LOOKED_AT:]}"
    words = _words(text)
    return frozenset(zip(*(words[start:] for start in range(_SHINGLE)), strict=False))


def _words(text: str) -> list[str]:
    return text.lower().split()
