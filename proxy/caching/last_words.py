"""The last words of a user, and all the rest of a request.

Owns finding them in the bodies of the dialects. Refuses where the last to speak was not the user,
or said something else than words at the end: a tool's result, say. Pure.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

LONGEST_CHARACTERS = 8_000
"""Longer texts are no questions, and more than some embedding models take."""
_TURNS = ("messages", "input", "contents")
_INSIDE = ("content", "parts")
_USER = ("user", "USER")
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_HERE = None


class LastWords(NamedTuple):
    """The text, and the body's members without it."""

    text: str
    rest: dict[str, Any]


def of(document: dict[str, Any]) -> LastWords | None:
    """The last words of the user in a request with these members; None where there are none.

    Numbers belong to the rest too: 17 and 71 look alike to an embedding, and are not.
    """
    for name in (*_TURNS, "prompt"):
        said = _in_turns(document.get(name)) if name in document else None
        if said is None:
            continue
        text, without = said
        if not text.strip() or len(text) > LONGEST_CHARACTERS:
            return None
        return LastWords(text, {**document, name: without, "\0numbers": _NUMBER.findall(text)})
    return None


def _in_turns(turns: Any) -> tuple[str, Any] | None:
    """The words, and the value without them."""
    if isinstance(turns, str):
        return turns, _HERE
    if not isinstance(turns, list) or not turns or not isinstance(last := turns[-1], dict):
        return None
    if last.get("role", "user") not in _USER:
        return None
    for inside in _INSIDE:
        if (said := _in_content(last.get(inside))) is not None:
            return said[0], [*turns[:-1], {**last, inside: said[1]}]
    return None


def _in_content(content: Any) -> tuple[str, Any] | None:
    if isinstance(content, str):
        return content, _HERE
    if not isinstance(content, list) or not content or not isinstance(part := content[-1], dict):
        return None
    if not isinstance(text := part.get("text"), str):
        return None
    return text, [*content[:-1], {**part, "text": _HERE}]
