"""The plain words of a message, whatever its shape.

Owns content that is a string, a list of typed parts, or nested. Refuses to say whose words they
are.
"""

from __future__ import annotations

from typing import Any

_MEMBERS = (
    "text",
    "thinking",
    "refusal",
    "content",
    "summary",
    "transcript",
    "input",
    "output",
    "arguments",
)
_DEPTH = 8


def plain(value: Any, depth: int = _DEPTH) -> str:
    """All text in a message's content; images, sounds and files have none."""
    if isinstance(value, str):
        return value
    if depth and isinstance(value, list):
        return "\n".join(filter(None, (plain(part, depth - 1) for part in value)))
    if depth and isinstance(value, dict):
        return "\n".join(filter(None, (plain(value.get(name), depth - 1) for name in _MEMBERS)))
    return ""


def word(value: Any) -> str | None:
    """A string that says something, else None."""
    return value if isinstance(value, str) and value else None
