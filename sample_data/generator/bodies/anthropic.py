"""Messages as Anthropic speaks them.

Owns the wire format of request, answer, stream and error.
"""

from __future__ import annotations

from typing import Any

import orjson

from sample_data.generator.planned import Answer, Ask, Message, Planned

FINISH = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use"}
_TOOLS = [
    {
        "name": name,
        "description": does,
        "input_schema": {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "What to look for."}},
            "required": ["query"],
        },
    }
    for name, does in (
        ("find_order", "Find an order by its number, its date or the words in it."),
        ("read_notes", "Read what the team wrote about a customer or an order."),
        ("track_parcel", "Where a parcel is now, and where it has been."),
        ("list_prices", "Prices for a route and a weight, with all that comes on top."),
    )
]
_MARK = {"type": "ephemeral"}
_MARK_FOR_AN_HOUR = {"type": "ephemeral", "ttl": "1h"}


def request(ask: Ask) -> bytes:
    feature = ask.feature
    system: dict[str, Any] = {"type": "text", "text": ask.system.text}
    messages = [_message(message) for message in ask.messages]
    if feature.keeps_hour:
        system["cache_control"] = _MARK_FOR_AN_HOUR
    elif feature.tools:
        system["cache_control"] = _MARK
        messages[-1] = _marked(messages[-1])
    body: dict[str, Any] = {
        "model": ask.model.name,
        "max_tokens": ask.limit,
        "system": [system],
        "messages": messages,
    }
    if feature.tools:
        body["tools"] = _TOOLS
    if feature.stream:
        body["stream"] = True
    return orjson.dumps(body)


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        result = {"type": "tool_result", "tool_use_id": f"toolu_{message.call_id}"}
        return {"role": "user", "content": [{**result, "content": message.text}]}
    if message.tool is None:
        return {"role": message.role, "content": message.text}
    call = _call(message.call_id, message.tool, {"query": message.query})
    return {"role": message.role, "content": [{"type": "text", "text": message.text}, call]}


def _marked(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    return {**message, "content": [*content[:-1], {**content[-1], "cache_control": _MARK}]}


def _call(call_id: str | None, tool: str | None, given: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{call_id}", "name": tool, "input": given}


def response(planned: Planned) -> tuple[bytes, dict[str, Any] | None]:
    usage = _usage(planned)
    if planned.ask.feature.stream:
        return _stream(planned, usage)
    answer = planned.answer
    content: list[dict[str, Any]] = [{"type": "text", "text": " ".join(answer.pieces)}]
    if answer.tool is not None:
        content.append(_call(answer.call_id, answer.tool, {"query": answer.query}))
    body = {
        **_envelope(planned),
        "content": content,
        "stop_reason": FINISH[answer.ending],
        "stop_sequence": None,
        "usage": usage,
    }
    return orjson.dumps(body), usage


def _envelope(planned: Planned) -> dict[str, Any]:
    return {
        "model": planned.ask.model.full_name,
        "id": f"msg_{planned.exchange_id}",
        "type": "message",
        "role": "assistant",
    }


def _usage(planned: Planned) -> dict[str, Any]:
    counted = planned.counted
    written, hour = counted.cache_write or 0, counted.cache_write_1h or 0
    return {
        "input_tokens": (counted.input or 0) - (counted.cache_read or 0) - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": counted.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": written - hour,
            "ephemeral_1h_input_tokens": hour,
        },
        "output_tokens": counted.output,
        "service_tier": "standard",
    }


def _stream(planned: Planned, usage: dict[str, Any]) -> tuple[bytes, dict[str, Any] | None]:
    """One event per sentence. What a cut stream tells is only how it began."""
    begun = {**usage, "output_tokens": 1}
    message = {**_envelope(planned), "content": [], "stop_reason": None, "usage": begun}
    head = (
        _event("message_start", {"message": message})
        + _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
        + _event("ping", {})
    )
    said = _said(planned.answer.pieces[: planned.fate.pieces_seen])
    if planned.is_cut:
        return head + said, begun
    end = {"stop_reason": FINISH[planned.answer.ending], "stop_sequence": None}
    tail = _event("content_block_stop", {"index": 0}) + _call_events(planned.answer)
    counts = {"output_tokens": usage["output_tokens"]}
    tail += _event("message_delta", {"delta": end, "usage": counts}) + _event("message_stop", {})
    return head + said + tail, usage


def _said(pieces: tuple[str, ...]) -> bytes:
    before = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    before += b'"delta":{"type":"text_delta","text":"'
    after = b'"}}\n\n'
    return before + (after + before + b" ").join(piece.encode() for piece in pieces) + after


def _call_events(answer: Answer) -> bytes:
    if answer.tool is None:
        return b""
    block = _call(answer.call_id, answer.tool, {})
    given = orjson.dumps({"query": answer.query}).decode()
    delta = {"index": 1, "delta": {"type": "input_json_delta", "partial_json": given}}
    return (
        _event("content_block_start", {"index": 1, "content_block": block})
        + _event("content_block_delta", delta)
        + _event("content_block_stop", {"index": 1})
    )


def _event(name: str, value: dict[str, Any]) -> bytes:
    data = orjson.dumps({"type": name, **value})
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)


def error(planned: Planned) -> bytes:
    fate = planned.fate
    told = {"type": fate.error_type, "message": fate.error_message}
    return orjson.dumps(
        {"type": "error", "error": told, "request_id": f"req_{planned.exchange_id}"}
    )
