"""The text in a JSON document, for a token estimate.

Owns collecting strings in order. Refuses those under keys that its caller names: what is no text.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any


def prose(document: Any, silent: Set[str]) -> str:
    """All strings of a document, joined by newlines, without the values of the `silent` keys."""
    found: list[str] = []
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            pending += [v for k, v in reversed(value.items()) if k not in silent]
        elif isinstance(value, list):
            pending += reversed(value)
    return "\n".join(found)
