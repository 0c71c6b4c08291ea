"""JSON as providers really send it.

Owns tolerance: halves of surrogate pairs, NaN, bytes that are no UTF-8, raw control characters.
Refuses to guess where JSON is incomplete; that is `partial`'s work.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_BOM = b"\xef\xbb\xbf"
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair, to be kept
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)


def loads(data: bytes) -> Any:
    """The value of a JSON text; raises ValueError where it has none.

    Half a surrogate pair becomes U+FFFD, so that every string can be written as UTF-8. NaN and
    the infinities become None.
    """
    try:
        return orjson.loads(data)
    except ValueError:
        return _tolerant(data)


def _tolerant(data: bytes) -> Any:
    text = data.removeprefix(_BOM).decode("utf-8", "replace")
    if "\\ud" in text or "\\uD" in text:
        text = _ESCAPE.sub(_without_half, text)
    try:
        return json.loads(text, strict=False, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _without_half(match: re.Match[str]) -> str:
    return "\\ufffd" if match["half"] else match[0]


def starts_json(data: bytes) -> bool:
    """Whether the first character that is no space begins a JSON object or array."""
    start = data[:256].removeprefix(_BOM).lstrip() or data.lstrip()
    return start[:1] in (b"{", b"[")
