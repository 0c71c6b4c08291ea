"""What a cut JSON object says with certainty.

Owns reading the complete members at either end of an object whose beginning, middle or end is
missing. Refuses values that the cut may have shortened.
"""

from __future__ import annotations

import re
from typing import Any

from proxy.wire.decode import loads

# A quote by itself is one whose string the cut took: nothing behind it can be trusted.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}"]', re.DOTALL)
_COLON = re.compile(rb"\s*:\s*")
_SCALAR = re.compile(rb"(-?[0-9][0-9.eE+-]*|true|false|null)\s*[,}]")
# Read from the end, an escaped quote is one that its backslash follows.
_BACKWARD_TOKEN = re.compile(rb'"(?:[^"]|"(?=\\))*+"(?!\\)|[\[\]{}:"]', re.DOTALL)
_OPENING, _CLOSING = (b"{", b"["), (b"}", b"]")
_QUOTE = ord('"')
_AROUND_VALUE = b", \t\r\n"


def head_members(data: bytes) -> dict[str, Any]:
    """The complete members of the outermost object, read from its beginning up to the cut."""
    found: dict[str, Any] = {}
    depth, key, start = 0, b"", 0
    for token in _TOKEN.finditer(data):
        mark = token[0]
        if mark in _OPENING:
            depth += 1
            if depth == 2:
                start = token.start()
        elif mark in _CLOSING:
            depth -= 1
            if depth == 1 and key:
                _add(found, key, data[start : token.end()])
                key = b""
        elif mark == b'"':
            break
        elif depth == 1 and key:
            _add(found, key, mark)
            key = b""
        elif depth == 1 and (colon := _COLON.match(data, token.end())):
            key = mark
            if scalar := _SCALAR.match(data, colon.end()):
                _add(found, key, scalar[1])
                key = b""
        if depth == 0:
            break
    return found


def tail_levels(data: bytes) -> list[dict[str, Any]]:
    """The complete members after the cut, of each object that the end of `data` closes.

    The outermost object comes first. What began after the cut is a value and no level of its own.
    """
    text = data.rstrip()[::-1]
    levels: list[_Level] = []
    for token in _BACKWARD_TOKEN.finditer(text):
        mark = token[0]
        if mark in _CLOSING:
            levels.append(_Level(mark == b"}", token.end()))
            continue
        if not levels or mark == b'"' or (mark[0] == _QUOTE and token.end() == len(text)):
            break  # a quote at the very cut may have been an escaped one
        if mark in _OPENING:
            levels.pop()
            if not levels:
                break
        elif mark == b":":
            levels[-1].value = text[levels[-1].end : token.start()][::-1].strip(_AROUND_VALUE)
        elif levels[-1].value is not None:
            _add(levels[-1].members, mark[::-1], levels[-1].value)
            levels[-1].value, levels[-1].end = None, token.end()
    return [level.members for level in levels if level.is_object]


class _Level:
    """A container that is still open, reading backwards: `end` is where the next value ends."""

    __slots__ = ("end", "is_object", "members", "value")

    def __init__(self, is_object: bool, end: int) -> None:
        self.is_object, self.end = is_object, end
        self.members: dict[str, Any] = {}
        self.value: bytes | None = None


def _add(found: dict[str, Any], key: bytes, value: bytes) -> None:
    try:
        found[loads(key)] = loads(value)
    except ValueError:
        return
