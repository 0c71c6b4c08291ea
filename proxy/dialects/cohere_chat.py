"""Cohere's chat, versions 1 and 2, and its older generate.

Owns which paths are such and the facts of a request. Answers are read by
`proxy.wire.cohere_answer`. Refuses what merely counts tokens, and the paths at which Cohere speaks
another provider's format.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from proxy.facts import ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.body_labels import body_labels
from proxy.wire.cohere_answer import read_cohere
from proxy.wire.copies import CopyReader
from proxy.wire.fingerprint import fingerprint
from proxy.wire.prose import prose
from proxy.wire.request_document import read_document
from proxy.wire.words import plain, word

_PATH = re.compile(r"(/v[12]/chat|/v1/generate|/v1/summarize)/?$")
_OPERATIONS = {"/v1/generate": "text_completion", "/v1/summarize": "text_completion"}
_PROMPT = ("preamble", "chat_history", "messages", "message", "prompt", "text", "documents")
_NO_TEXT = frozenset({"role", "type", "id", "tool_call_id", "url", "detail", "citation_quality"})


class CohereChat:
    """See `proxy.facts.Dialect`."""

    name = "cohere_chat"

    def operation(self, head: RequestHead) -> str | None:
        found = _PATH.search(head.path) if head.method == "POST" else None
        return _OPERATIONS.get(found[1], "chat") if found else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:  # noqa: ARG002
        members, parse_error = read_document(body)
        stream: Any = members.get("stream", False if body and not parse_error else None)
        instructions = members.get("preamble") or _leading(members.get("messages")) or None
        return RequestFacts(
            model=word(members.get("model")),
            stream=stream if isinstance(stream, bool) else None,
            message_count=_message_count(members, cut=parse_error is not None),
            prompt_fingerprint=fingerprint(instructions, members.get("tools") or None),
            labels=body_labels(members),
            prompt_text=lambda: prose([members.get(name) for name in _PROMPT], _NO_TEXT),
            parse_error=parse_error,
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(partial(read_cohere, failed=head.status >= 400))


def _leading(messages: Any) -> list[str]:
    """The messages with which every conversation of a feature begins."""
    leading = []
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict) or message.get("role") not in ("system", "developer"):
            break
        leading.append(plain(message.get("content")))
    return leading


def _message_count(members: dict[str, Any], *, cut: bool) -> int | None:
    """Version 1 has the last message apart from those before it, which a cut may have taken."""
    if isinstance(messages := members.get("messages"), list):
        return len(messages)
    said, message = members.get("chat_history"), members.get("message")
    if isinstance(message, str):
        if said is None and cut:
            return None
        return (len(said) if isinstance(said, list) else 0) + 1
    return 1 if isinstance(members.get("prompt"), str) else None


DIALECT = CohereChat()
