"""Errors as AWS services word them: in an answer's headers and body, or as a message of a stream.

Owns bringing them into the form that `proxy.wire.errors` reads. Refuses to decide that an answer
failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.wire.decode import loads
from proxy.wire.event_stream import Message
from proxy.wire.words import word


def aws_refusal(document: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    """The error of an answer whose status says that it is one.

    Its name is in a header, with the place of its definition behind it, or in the body.
    """
    members = document if isinstance(document, dict) else {}
    nested = members.get("error")  # as speakers of other formats behind the same address do
    if isinstance(nested, dict):
        return nested
    name = word(headers.get("x-amzn-errortype")) or word(members.get("__type"))
    return _error(name, members)


def error_message(message: Message) -> dict[str, Any] | None:
    """The error that a message of a stream is, None where it is an event."""
    match message.headers.get(":message-type"):
        case "exception":
            try:
                members = loads(message.payload)
            except ValueError:
                members = {}
            name = message.headers.get(":exception-type")
            return _error(name or "exception", members if isinstance(members, dict) else {})
        case "error":
            return {
                "code": message.headers.get(":error-code") or "error",
                "message": message.headers.get(":error-message"),
            }
    return None


def _error(name: str | None, members: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": name and name.partition(":")[0].rpartition("#")[2],
        "message": members.get("message") or members.get("Message"),
    }
