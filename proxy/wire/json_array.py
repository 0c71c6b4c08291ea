"""A JSON array that is sent element by element, and may have been cut.

Owns finding the elements that are complete, or of a long array those that say most. Refuses to
interpret them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from proxy.wire.decode import loads
from proxy.wire.skim import pieces_at, spots_of

# A quote by itself is one whose string the cut took: nothing behind it can be trusted.
_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}"]', re.DOTALL)
# What stands between elements in the usual layouts.
_GAP = b"\n,"
_BETWEEN = tuple(b"}" + _GAP + blank + b"{" for blank in (b"\r\n", b"\n", b"", b" "))
_TRIES = 8
_LONG = 7
"""Gaps between elements; with fewer, all is read as fast."""


def elements(data: bytes) -> tuple[list[Any], bool]:
    """The complete objects of the array that `data` begins with, and whether it ends there."""
    try:
        return list(loads(data)), True
    except ValueError:
        pass
    # A line that begins with a comma stands between elements, in the usual layout.
    between = data.rfind(_GAP)
    if between > 0:
        try:
            return list(loads(data[:between] + b"]")), False
        except ValueError:
            pass
    return _complete_ones(data)


def elements_with(data: bytes, keys: Sequence[bytes]) -> tuple[list[Any], bool] | None:
    """Of a long array in the usual layout the first element, the last two complete ones, and those
    that hold one of the `keys`; and whether the array ends there. None for any other array.

    A quoted key stands for itself, as in a string its quotes would be escaped.
    """
    text = data.strip()
    gaps = text.count(_GAP)
    if not text.startswith(b"[") or gaps < _LONG or _framed(text, gaps) != gaps:
        return None
    ended = text.endswith(b"]")
    end = len(text) - ended
    cut = text.rfind(_GAP)
    if not ended and _object(text[cut + len(_GAP) :]) is None:
        end = cut
    spots = [1, text.rfind(_GAP, 0, end) - 1, end - 1]
    for key in keys:
        spots += spots_of(text, key, 1)
    found = [_object(piece) for piece in pieces_at(text, spots, _GAP, 1, end)]
    return None if None in found else (found, ended)


def _framed(text: bytes, most: int) -> int:
    """How many of the gaps stand between objects."""
    found = 0
    for between in _BETWEEN:
        if found < most:
            found += text.count(between)
    return found


def _object(piece: bytes) -> dict[str, Any] | None:
    try:
        element = loads(piece)
    except ValueError:
        return None
    return element if isinstance(element, dict) else None


def _complete_ones(data: bytes) -> tuple[list[Any], bool]:
    found: list[Any] = []
    depth, start = 0, 0
    for mark in _MARK.finditer(data):
        token = mark[0]
        if token in (b"{", b"["):
            depth += 1
            if depth == 2:
                start = mark.start()
        elif token in (b"}", b"]"):
            depth -= 1
            if depth == 1:
                _add(found, data[start : mark.end()])
            elif depth == 0:
                return found, True
        elif token == b'"':
            break
    return found, False


def last_element(tail: bytes, first_key: str) -> dict[str, Any] | None:
    """The last object of an array of which only the tail is known, if it began after the cut.

    Its members must begin with `first_key`: only then is its beginning certain.
    """
    text = tail.rstrip()
    if not text.endswith(b"]"):
        return None
    text = text[:-1]
    opening = re.compile(rb"\{\s*" + re.escape(f'"{first_key}"'.encode()))
    starts = [match.start() for match in opening.finditer(text)]
    for start in reversed(starts[-_TRIES:]):
        try:
            element = loads(text[start:])
        except ValueError:
            continue
        return element if isinstance(element, dict) else None
    return None


def _add(found: list[Any], text: bytes) -> None:
    try:
        found.append(loads(text))
    except ValueError:
        return
