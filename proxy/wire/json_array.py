"""A JSON array that is sent element by element, and may have been cut.

Owns finding the elements that are complete. Refuses to interpret them.
"""

from __future__ import annotations

import re
from typing import Any

from proxy.wire.decode import loads

# A quote by itself is one whose string the cut took: nothing behind it can be trusted.
_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}"]', re.DOTALL)
_TRIES = 8


def elements(data: bytes) -> tuple[list[Any], bool]:
    """The complete objects of the array that `data` begins with, and whether it ends there."""
    try:
        return list(loads(data)), True
    except ValueError:
        pass
    # A line that begins with a comma stands between elements, in the usual layout.
    between = data.rfind(b"\n,")
    if between > 0:
        try:
            return list(loads(data[:between] + b"]")), False
        except ValueError:
            pass
    return _complete_ones(data)


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
