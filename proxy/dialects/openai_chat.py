"""OpenAI chat completions, and everyone who speaks it.

Owns which paths are chat completions and what such a request asks. Answers are read by
`proxy.wire.choices`. Refuses stored completions: reading one back bills nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from proxy.facts import ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.choices import read_choices
from proxy.wire.copies import CopyReader
from proxy.wire.fingerprint import fingerprint
from proxy.wire.openai_request import common_facts, posts_to
from proxy.wire.request_document import read_document
from proxy.wire.words import plain

_INSTRUCTING = ("system", "developer")


class OpenAIChat:
    """Claims `POST .../chat/completions`."""

    name = "openai_chat"

    def operation(self, head: RequestHead) -> str | None:
        return "chat" if posts_to(head, "/chat/completions") else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
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

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(partial(read_choices, head=head))


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


DIALECT = OpenAIChat()
