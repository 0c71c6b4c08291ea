"""What a request for chat completions asks, at whatever address.

Owns messages, instructions, tools and the text of the prompt. Refuses to know paths; the dialects
that speak this format do.
"""

from __future__ import annotations

from typing import Any

from proxy.facts import RequestFacts, RequestHead
from proxy.wire.fingerprint import fingerprint
from proxy.wire.openai_request import common_facts
from proxy.wire.request_document import read_document
from proxy.wire.words import plain

_INSTRUCTING = ("system", "developer")


def read_chat_request(head: RequestHead, body: bytes) -> RequestFacts:
    """The facts of such a request."""
    members, parse_error = read_document(body)
    messages = _messages(members)
    return common_facts(
        head,
        members,
        parse_error,
        message_count=len(messages) if "messages" in members else None,
        prompt_fingerprint=fingerprint(_instructions(messages), _tools(members)),
        prompt_text=lambda: _prompt_text(members),
    )


def _messages(members: dict[str, Any]) -> list[Any]:
    messages = members.get("messages")
    return messages if isinstance(messages, list) else []


def _instructions(messages: list[Any]) -> list[str]:
    """The messages with which every conversation of a feature begins."""
    leading = []
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in _INSTRUCTING:
            break
        leading.append(plain(message.get("content")))
    return leading


def _tools(members: dict[str, Any]) -> list[Any]:
    return [
        tool
        for name in ("tools", "functions")
        if isinstance(tools := members.get(name), list)
        for tool in tools
    ]


def _prompt_text(members: dict[str, Any]) -> str:
    return "\n".join(filter(None, (_message_text(message) for message in _messages(members))))


def _message_text(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    calls = message.get("tool_calls")
    parts = [plain(message.get("content"))]
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            parts += [plain(call.get("function")), plain(call.get("custom"))]
    return "\n".join(filter(None, parts))
