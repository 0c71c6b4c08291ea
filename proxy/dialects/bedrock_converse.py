"""Bedrock's Converse, whole and streamed, and its counting of tokens.

Owns which requests are such, the facts of a request, and the framings of an answer. Refuses to
read every piece of a streamed text; only an estimate needs them.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.aws_errors import aws_refusal, error_message
from proxy.wire.bedrock_usage import usage_doubt
from proxy.wire.body_labels import body_labels
from proxy.wire.converse_answer import ConverseAnswer, delta_text
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.decode import loads
from proxy.wire.errors import error_facts
from proxy.wire.event_stream import Message, MessageSplitter, payload_of
from proxy.wire.fingerprint import fingerprint
from proxy.wire.prose import prose
from proxy.wire.request_document import read_document
from proxy.wire.words import word

# The model is percent-encoded; of an ARN some clients leave the slash as it is.
_PATH = re.compile(r"/model/(?P<model>.+)/(?P<method>converse|converse-stream|count-tokens)/?$")
_OPERATIONS = {"converse": "chat", "converse-stream": "chat", "count-tokens": "count_tokens"}
_STREAMED = "converse-stream"
_TEXT_EVENT = "contentBlockDelta"
_NO_TEXT = frozenset(
    {"role", "format", "bytes", "toolUseId", "status", "signature", "s3Location", "cachePoint"}
)


class BedrockConverse:
    """See `proxy.facts.Dialect`."""

    name = "bedrock_converse"

    def operation(self, head: RequestHead) -> str | None:
        found = _PATH.search(head.path) if head.method == "POST" else None
        return _OPERATIONS[found["method"]] if found else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        members, parse_error = read_document(body)
        path = _PATH.search(head.path)
        counted = _object(_object(members.get("input")).get("converse"))
        document = counted or members
        messages = document.get("messages")
        tools = _object(document.get("toolConfig")).get("tools")
        return RequestFacts(
            model=unquote(path["model"]) if path else None,
            stream=path["method"] == _STREAMED if path else None,
            service_tier=word(_object(document.get("serviceTier")).get("type")),
            message_count=len(messages) if isinstance(messages, list) else None,
            prompt_fingerprint=fingerprint(_stable(document.get("system")), _stable(tools)),
            labels=body_labels({"metadata": document.get("requestMetadata")}),
            prompt_text=lambda: _prompt_text(document),
            parse_error=parse_error,
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        if head.status >= 400:
            return CopyReader(lambda copy: _read_refusal(copy, head))
        if self.operation(head.request) == "count_tokens":
            return CopyReader(lambda copy: ReplyFacts(parse_error=_doubt(copy)))
        return CopyReader(_read_answer)


def _read_answer(copy: Copy) -> ReplyFacts:
    answer, error = ConverseAnswer(), None
    texts: list[bytes] = []
    parse_error = None
    if copy.is_json:
        document = copy.document()
        parse_error = document.parse_error
        answer.take_document(_object(document.value))
    elif not copy.is_empty:
        error, parse_error = _read_stream(copy, answer, texts)
    answer.gapped = copy.has_gap
    usage = answer.usage
    error_type, message = error_facts(error)
    return ReplyFacts(
        model=answer.model,
        service_tier=answer.service_tier,
        finish_reasons=answer.finish_reasons,
        tool_names=answer.tool_names,
        tool_call_count=answer.tool_call_count,
        usage=usage,
        error_type=error_type,
        error_message=message,
        text=lambda: "".join([answer.text(), *map(_text, texts)]),
        parse_error=parse_error or usage_doubt(usage),
    )


def _read_stream(
    copy: Copy, answer: ConverseAnswer, texts: list[bytes]
) -> tuple[dict[str, Any] | None, str | None]:
    """The error inside of the stream, and what could not be read."""
    splitter, error, unreadable = MessageSplitter(_is_text), None, 0
    for number, segment in enumerate(copy.segments):
        if number:
            splitter.gap()
        for message in splitter.feed(segment):
            error = error_message(message) or error
            try:
                answer.take_event(message.event, loads(message.payload))
            except ValueError:
                unreadable += 1
    texts += splitter.texts
    if splitter.skipped_bytes:
        return error, f"answer: {splitter.skipped_bytes} bytes are no messages"
    return error, f"answer: {unreadable} events are not JSON" if unreadable else None


def _read_refusal(copy: Copy, head: ReplyHead) -> ReplyFacts:
    document = copy.document().value if copy.is_json else {"message": copy.words()}
    error_type, message = error_facts(aws_refusal(document, head.headers))
    return ReplyFacts(error_type=error_type, error_message=message)


def _doubt(copy: Copy) -> str | None:
    return copy.document().parse_error if copy.is_json else None


def _is_text(message: Message) -> int | None:
    return 0 if message.event == _TEXT_EVENT else None


def _text(message: bytes) -> str:
    try:
        return delta_text(loads(payload_of(message)))
    except ValueError:
        return ""


def _stable(parts: Any) -> Any:
    """Without the cache marks, which move as a conversation grows."""
    if not isinstance(parts, list):
        return parts or None
    return [part for part in parts if not (isinstance(part, dict) and "cachePoint" in part)]


def _prompt_text(document: dict[str, Any]) -> str:
    tools = _object(document.get("toolConfig")).get("tools")
    text = prose([document.get("system"), document.get("messages")], _NO_TEXT)
    return text + (json.dumps(tools, ensure_ascii=False) if tools else "")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


DIALECT = BedrockConverse()
