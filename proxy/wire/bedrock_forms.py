"""The forms in which models invoked on Bedrock answer, told by the shape of what they say.

Owns that choice, and where usage comes from when the form has none. Refuses to know requests and
statuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from proxy.facts import ReplyFacts, ReplyHead
from proxy.wire import anthropic_answer, bedrock_bodies, converse_answer
from proxy.wire.anthropic_answer import AnthropicAnswer
from proxy.wire.bedrock_bodies import PlainAnswer
from proxy.wire.bedrock_chunks import Chunks, unpacked_text
from proxy.wire.bedrock_usage import (
    METRICS,
    completed_by,
    usage_in_headers,
    usage_in_metrics,
)
from proxy.wire.choices import read_choices
from proxy.wire.converse_answer import ConverseAnswer
from proxy.wire.copies import Copy
from proxy.wire.decode import loads
from proxy.wire.errors import error_facts, error_in
from proxy.wire.words import word

_TIER = "x-amzn-bedrock-service-tier"
_CONVERSE_TEXT = (b'{"contentBlockDelta"', b'{"contentBlockStop"')
_CONVERSE_EVENTS = frozenset(
    {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop"}
    | {"metadata"}
)
_ANTHROPIC_EVENTS = frozenset(
    {"message", "completion", "message_start", "content_block_start", "content_block_delta"}
    | {"content_block_stop", "message_delta", "message_stop"}
)


def read_document_form(copy: Copy, head: ReplyHead) -> ReplyFacts:
    """The facts of an answer that is one document."""
    document = copy.document()
    members = document.value if isinstance(document.value, dict) else {}
    facts = _of_document(members, copy, head)
    error = error_in(members)
    kind, message = error_facts(error)
    return replace(
        facts,
        service_tier=word(head.headers.get(_TIER)) or facts.service_tier,
        usage=completed_by(facts.usage, usage_in_headers(head.headers)),
        error_type=facts.error_type or kind or ("error" if error else None),
        error_message=facts.error_message or message,
        parse_error=document.parse_error or facts.parse_error,
    )


def read_stream_form(chunks: Chunks, head: ReplyHead) -> ReplyFacts:
    """The facts of an answer that came in chunks."""
    facts = _of_stream(chunks, head)
    metrics = usage_in_metrics(_metrics(chunks.all))
    error_type, error_message = error_facts(chunks.error)
    return replace(
        facts,
        service_tier=word(head.headers.get(_TIER)) or facts.service_tier,
        usage=completed_by(facts.usage, metrics),
        error_type=error_type or facts.error_type,
        error_message=error_message or facts.error_message,
        parse_error=chunks.parse_error or facts.parse_error,
    )


def _of_document(members: dict[str, Any], copy: Copy, head: ReplyHead) -> ReplyFacts:
    if _is_anthropic(members):
        message = AnthropicAnswer()
        message.gapped = copy.has_gap
        message.take_document({"type": "completion", **members})
        return _answer_facts(message, message.text)
    if isinstance(members.get("output"), dict) or "stopReason" in members:
        converse = ConverseAnswer()
        converse.gapped = copy.has_gap
        converse.take_document(members)
        return _answer_facts(converse, converse.text)
    if isinstance(members.get("choices"), list):
        return _with_reasons(read_choices(copy, head), [members])
    return _plain_facts([members], copy.segments[:1])


def _of_stream(chunks: Chunks, head: ReplyHead) -> ReplyFacts:
    first = next((found for chunk in chunks.all if (found := _members(chunk))), {})
    gapped = len(chunks.stretches) > 1
    if _is_anthropic(first) or (chunks.texts and not first):
        message = AnthropicAnswer()
        message.gapped = gapped
        for event in map(_members, chunks.all):
            message.take_event({"type": "completion", **event})
        return _answer_facts(message, lambda: message.text() + _anthropic_text(chunks.texts))
    if first.keys() & _CONVERSE_EVENTS:
        converse = ConverseAnswer()
        converse.gapped = gapped
        for event in (_members(c) for c in chunks.all if not c.startswith(_CONVERSE_TEXT)):
            for name, value in event.items():
                converse.take_event(name, value)
        return _answer_facts(converse, lambda: converse.text() + _converse_text(chunks.all))
    if isinstance(first.get("choices"), list):
        facts = read_choices(_as_events(chunks.stretches), head)
        return _with_reasons(facts, [_members(chunk) for chunk in chunks.all[-2:]])
    return _plain_facts(list(map(_members, bedrock_bodies.telling(chunks.all))), chunks.all)


def _is_anthropic(members: dict[str, Any]) -> bool:
    return word(members.get("type")) in _ANTHROPIC_EVENTS or (
        "completion" in members and "stop_reason" in members
    )


def _answer_facts(answer: AnthropicAnswer | ConverseAnswer, text: Any) -> ReplyFacts:
    error = answer.error if isinstance(answer, AnthropicAnswer) else None
    error_type, error_message = error_facts(error)
    return ReplyFacts(
        model=answer.model,
        response_id=answer.response_id if isinstance(answer, AnthropicAnswer) else None,
        service_tier=answer.service_tier,
        finish_reasons=answer.finish_reasons,
        tool_names=answer.tool_names,
        tool_call_count=answer.tool_call_count,
        usage=answer.usage,
        error_type=error_type,
        error_message=error_message,
        text=text,
    )


def _plain_facts(found: list[dict[str, Any]], texts: Iterable[bytes] = ()) -> ReplyFacts:
    answer = PlainAnswer()
    for chunk in found:
        answer.take(chunk)
    return ReplyFacts(
        finish_reasons=answer.finish_reasons,
        tool_names=answer.tool_names or None,
        usage=answer.usage,
        text=lambda: "".join(bedrock_bodies.chunk_text(_members(text)) for text in texts),
    )


def _with_reasons(facts: ReplyFacts, found: list[dict[str, Any]]) -> ReplyFacts:
    """Some speakers of choices say `stop_reason`."""
    if facts.finish_reasons:
        return facts
    return replace(facts, finish_reasons=_plain_facts(found).finish_reasons)


def _as_events(stretches: list[list[bytes]]) -> Copy:
    """The chunks as the event stream that speakers of choices send elsewhere."""
    return Copy(
        tuple(
            b"\n\n" + b"".join(b"data: %b\n\n" % chunk for chunk in stretch)
            for stretch in stretches
        )
    )


def _anthropic_text(texts: list[bytes]) -> str:
    chunks = map(_members, map(unpacked_text, texts))
    return "".join(map(anthropic_answer.delta_text, chunks))


def _converse_text(chunks: list[bytes]) -> str:
    deltas = (_members(chunk).get("contentBlockDelta") for chunk in chunks)
    return "".join(map(converse_answer.delta_text, deltas))


def _metrics(chunks: list[bytes]) -> Any:
    """Bedrock adds its metrics to the last chunk."""
    name = METRICS.encode()
    last = next((chunk for chunk in reversed(chunks) if name in chunk), None)
    return None if last is None else _members(last).get(METRICS)


def _members(chunk: bytes) -> dict[str, Any]:
    try:
        found = loads(chunk)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
