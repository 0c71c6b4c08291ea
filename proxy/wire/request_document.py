"""The JSON object in a request's body, or as much of it as the copy still says.

Owns falling back to the members at either end of a body that was cut, and saying so. Refuses to
interpret them.
"""

from __future__ import annotations

from typing import Any

from proxy.wire.decode import loads
from proxy.wire.partial import head_members, tail_levels


def read_document(body: bytes) -> tuple[dict[str, Any], str | None]:
    """The members, and why they may not be all; both are empty where there is no body."""
    if not body:
        return {}, None
    try:
        document = loads(body)
    except ValueError as error:
        levels = tail_levels(body)
        return head_members(body) | (levels[0] if levels else {}), f"request: {error}"[:200]
    if not isinstance(document, dict):
        return {}, "request: not a JSON object"
    return document, None
