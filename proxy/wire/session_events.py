"""Events in the messages of a WebSocket session.

Owns finding those that say something, and what a close frame says of the end. Refuses to know
whose events they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from proxy.wire.decode import loads
from proxy.wire.websocket_frames import Messages, read_messages

# Codes by which a peer says that something went wrong (RFC 6455, section 7.4.1).
_FAULTS = range(1002, 1016)
_NO_FAULT = frozenset({1005})


def client_events(body: bytes, keys: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """The client's events that hold one of the keys, as far as its frames can be read."""
    for message in read_messages((body,)).found:
        if any(key in message for key in keys):
            try:
                event = loads(message)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


def ending_error(messages: Messages) -> dict[str, str] | None:
    """The error that the provider's close frame states, None where it states none."""
    if messages.closed is None:
        return None
    code, reason = messages.closed
    if code not in _FAULTS or code in _NO_FAULT:
        return None
    return {"code": f"close_{code}", "message": reason}
