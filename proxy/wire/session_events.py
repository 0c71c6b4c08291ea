"""Events in the messages of a WebSocket session.

Owns finding those that say something, and what a close frame says of the end. Refuses to know
whose events they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from proxy.wire.decode import loads
from proxy.wire.websocket_frames import Messages, read_messages

# Codes by which a peer says that something went wrong (RFC 6455, section 7.4.1).
_FAULTS = range(1002, 1016)
_NO_FAULT = frozenset({1005})


class ClientEvents(NamedTuple):
    """The client's events that hold one of the keys, and whether others may be missing."""

    found: list[dict[str, Any]]
    has_gap: bool


def client_events(body: bytes, keys: Sequence[bytes]) -> ClientEvents:
    """What the client said, as far as its frames can be read."""
    messages = read_messages((body,))
    found = []
    for message in messages.found:
        if any(key in message for key in keys):
            try:
                event = loads(message)
            except ValueError:
                continue
            if isinstance(event, dict):
                found.append(event)
    return ClientEvents(found, messages.has_gap)


def ending_error(messages: Messages) -> dict[str, str] | None:
    """The error that the provider's close frame states, None where it states none."""
    if messages.closed is None:
        return None
    code, reason = messages.closed
    if code not in _FAULTS or code in _NO_FAULT:
        return None
    return {"code": f"close_{code}", "message": reason}
