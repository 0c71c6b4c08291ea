"""Anthropic messages, also as Vertex, Azure and gateways speak them, and the older completions.

Owns which requests are such, the facts of a request, and the framings of an answer. Refuses to
read every piece of a streamed text; only an estimate needs them.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.anthropic_answer import AnthropicAnswer, delta_text
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.decode import loads
from proxy.wire.errors import error_facts, refusal_in
from proxy.wire.event_blocks import event_blocks
from proxy.wire.fingerprint import fingerprint
from proxy.wire.prose import prose
from proxy.wire.request_document import read_document
from proxy.wire.sse import parsed
from proxy.wire.words import word

_PATHS = {
    "/v1/messages": "chat",
    "/v1/messages/count_tokens": "count_tokens",
    "/v1/complete": "text_completion",
}
_VERTEX_PATH = re.compile(r"/publishers/anthropic/models/([^/]+):(rawPredict|streamRawPredict)$")
_VERTEX_COUNTER = "count-tokens"
# These make up nearly all of a stream and say nothing but text.
_TEXT_EVENTS = (
    b"event: content_block_delta\n",
    b'data: {"type":"content_block_delta"',
    b'data: {"type": "content_block_delta"',
)
_NO_TEXT = frozenset(
    {"type", "id", "tool_use_id", "signature", "data", "media_type", "url", "file_id", "role"}
    | {"encrypted_content", "encrypted_index", "cache_control"}
)
# How Claude Code packs its user and session into one word.
_CODE_USER = re.compile(r"(?P<user>user_.+?)_session_(?P<session>[0-9a-fA-F-]{8,})")


class AnthropicMessages:
    """See `proxy.facts.Dialect`."""

    name = "anthropic_messages"

    def operation(self, head: RequestHead) -> str | None:
        if head.method != "POST":
            return None
        path = _tidy(head.path)
        if vertex := _VERTEX_PATH.search(path):
            return "count_tokens" if vertex[1] == _VERTEX_COUNTER else "chat"
        return next((name for end, name in _PATHS.items() if path.endswith(end)), None)

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        document, parse_error = read_document(body)
        vertex = _VERTEX_PATH.search(_tidy(head.path))
        in_path = vertex[1] if vertex and vertex[1] != _VERTEX_COUNTER else None
        stream: Any = document.get("stream", False if body and not parse_error else None)
        if vertex and vertex[2] == "streamRawPredict":
            stream = True
        messages = document.get("messages")
        return RequestFacts(
            model=in_path or word(document.get("model")),
            stream=stream if isinstance(stream, bool) else None,
            service_tier=word(document.get("service_tier")),
            message_count=len(messages) if isinstance(messages, list) else None,
            prompt_fingerprint=_fingerprint(document),
            labels=_labels(document),
            prompt_text=(lambda: _prompt_text(document)) if document else None,
            parse_error=parse_error,
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        bills = self.operation(head.request) != "count_tokens"
        return CopyReader(lambda copy: _read(copy, head.status >= 400, bills))


def _read(copy: Copy, refused: bool, bills: bool) -> ReplyFacts:
    answer, texts = AnthropicAnswer(), list[bytes]()
    parse_error = None
    if copy.is_json:
        parse_error = _read_whole(copy, answer, refused)
    elif not copy.is_empty:
        parse_error = _read_stream(copy, answer, texts)
        if refused:
            parse_error, answer.error = None, answer.error or {"message": copy.words()}
    error_type, error_message = error_facts(answer.error)
    if refused or not bills:
        return ReplyFacts(
            error_type=error_type, error_message=error_message, parse_error=parse_error
        )
    return ReplyFacts(
        model=answer.model,
        response_id=answer.response_id,
        service_tier=answer.service_tier,
        finish_reasons=answer.finish_reasons,
        tool_names=answer.tool_names,
        tool_call_count=answer.tool_call_count,
        usage=answer.usage,
        error_type=error_type,
        error_message=error_message,
        text=lambda: "".join([answer.text(), *map(_text, texts)]),
        parse_error=parse_error,
    )


def _read_whole(copy: Copy, answer: AnthropicAnswer, refused: bool) -> str | None:
    document = copy.document()
    if isinstance(document.value, dict):
        answer.take_document(document.value)
    if refused:
        answer.error = refusal_in(document.value)
    elif not isinstance(document.value, dict):
        return "answer: not a JSON object"
    return document.parse_error and f"answer: {document.parse_error}"


def _read_stream(copy: Copy, answer: AnthropicAnswer, texts: list[bytes]) -> str | None:
    read, unreadable = 0, 0
    for block, is_torn in event_blocks(copy.segments):
        if block.startswith(_TEXT_EVENTS):
            texts.append(block)
        elif event := _event(block):
            answer.take_event(event)
            read += 1
        elif event is None:
            unreadable += not is_torn
    answer.gapped = copy.has_gap
    if unreadable:
        return f"answer: {unreadable} events are not JSON"
    if not (read or texts or copy.has_gap):
        return "answer: neither JSON nor a stream of messages"
    return None


def _event(block: bytes) -> dict[str, Any] | None:
    """The data of an event, {} where it has none, None where it cannot be read."""
    event = parsed(block)
    if event is None or event.data == b"[DONE]":  # as some gateways end a stream
        return {}
    try:
        return _object(loads(event.data))
    except ValueError:
        return None


def _text(block: bytes) -> str:
    return delta_text(_event(block) or {})


def _labels(document: dict[str, Any]) -> dict[str, str]:
    """The user, and the session where the client packs both into one value."""
    user = word(_object(document.get("metadata")).get("user_id"))
    if not user:
        return {}
    if packed := _CODE_USER.fullmatch(user):
        return {"user_id": packed["user"], "session_id": packed["session"]}
    try:
        parts = _object(loads(user.encode())) if user.startswith("{") else {}
    except ValueError:
        parts = {}
    name = word(parts.get("account_uuid")) or word(parts.get("device_id")) or user
    session = word(parts.get("session_id"))
    return {"user_id": name, "session_id": session} if session else {"user_id": name}


def _fingerprint(document: dict[str, Any]) -> str | None:
    system, tools = document.get("system"), document.get("tools")
    if isinstance(system, str) and system:
        system = [{"type": "text", "text": system}]
    return fingerprint(_stable(system), _stable(tools))


def _stable(parts: Any) -> Any:
    """Without the cache marks, which move as a conversation grows."""
    if not isinstance(parts, list):
        return parts or None
    return [
        {key: value for key, value in part.items() if key != "cache_control"}
        if isinstance(part, dict)
        else part
        for part in parts
    ]


def _prompt_text(document: dict[str, Any]) -> str:
    spoken = [document.get("system"), document.get("messages"), document.get("prompt")]
    tools = document.get("tools")
    return prose(spoken, _NO_TEXT) + (json.dumps(tools, ensure_ascii=False) if tools else "")


def _tidy(path: str) -> str:
    return re.sub("/+", "/", unquote(path)).rstrip("/")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


DIALECT = AnthropicMessages()
