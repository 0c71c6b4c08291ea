"""Anthropic messages: requests in, answers out, streamed or whole, and token counts.

Owns the wire format, its errors and its headers. Refuses to decide what is said.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import orjson

from sample_data.demo.answers import Answer, Json, Question, Refusal
from sample_data.demo.memory import CacheUse, Lifetime, Mark
from sample_data.demo.models import full_name
from sample_data.demo.reading import json_text, limit, mapping, objects, required_list, text_of
from sample_data.demo.speech import Prompt, Tool, Utterance, compose, pieces

_SSE = "text/event-stream; charset=utf-8"
_STOP = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use"}
_CHOICES = {"any": "required", "auto": "auto", "none": "none"}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_MINUTE_REQUESTS = 4000


def answer(question: Question) -> Answer:
    body = question.body
    if limit(body, "max_tokens") is None:
        raise Refusal(400, "max_tokens: Field required")
    prompt, marks = _read(question)
    said = compose(prompt)
    cache = question.memory.marked_tokens(prompt.model, prompt.text, marks)
    usage = _usage(prompt, said, cache) if question.with_usage else None
    message = {
        "model": full_name(question.model),
        "id": f"msg_{token_hex(12)}",
        "type": "message",
        "role": "assistant",
    }
    shared: dict[str, Any] = {
        "headers": _headers(question.number),
        "usage": usage,
        "lead_seconds": said.lead_seconds,
        "talk_seconds": said.talk_seconds,
    }
    if not body.get("stream"):
        return Answer(body=_whole(message, said, usage), **shared)
    chunks = tuple(_stream(message, said, usage))
    failure = _event("error", {"error": {"type": "overloaded_error", "message": "Overloaded"}})
    return Answer(content_type=_SSE, chunks=chunks, error_chunk=failure, **shared)


def count(question: Question) -> Answer:
    prompt, _ = _read(question)
    body = orjson.dumps({"input_tokens": prompt.input_tokens})
    return Answer(headers=_headers(question.number), body=body, lead_seconds=0.08)


def refuse(refusal: Refusal, number: int) -> Answer:
    headers = _headers(number)
    if refusal.retry_after is not None:
        headers["retry-after"] = refusal.retry_after
    body = {
        "type": "error",
        "error": {"type": _KINDS.get(refusal.status, "api_error"), "message": refusal.message},
        "request_id": headers["request-id"],
    }
    return Answer(status=refusal.status, headers=headers, body=orjson.dumps(body))


def _headers(number: int) -> dict[str, str]:
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    return {
        "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
        "anthropic-ratelimit-requests-limit": str(_MINUTE_REQUESTS),
        "anthropic-ratelimit-requests-remaining": str(
            _MINUTE_REQUESTS - 1 - number % _MINUTE_REQUESTS
        ),
        "anthropic-ratelimit-requests-reset": reset,
        "anthropic-ratelimit-tokens-limit": "2000000",
        "anthropic-ratelimit-tokens-remaining": "1999000",
        "anthropic-ratelimit-tokens-reset": reset,
        "request-id": f"req_{token_hex(12)}",
    }


def _read(question: Question) -> tuple[Prompt, list[Mark]]:
    body = question.body
    messages = required_list(body, "messages")
    tools = objects(body.get("tools"))
    choice = mapping(body.get("tool_choice"))
    kind = str(choice.get("type", "auto"))
    last = messages[-1]
    text, marks = _layout(body, tools, messages)
    return Prompt(
        model=question.model,
        text=text,
        last_user="" if _has_result(last) else text_of(last.get("content")),
        messages=len(messages),
        tools=tuple(Tool(name=str(t.get("name")), schema=t.get("input_schema")) for t in tools),
        tool_choice=str(choice.get("name")) if kind == "tool" else _CHOICES.get(kind, "auto"),
        parallel=not choice.get("disable_parallel_tool_use"),
        limit=limit(body, "max_tokens"),
        schema=_schema(body),
        think=False,
    ), marks


def _schema(body: Json) -> Any:
    wanted = mapping(mapping(body.get("output_config")).get("format"))
    return wanted.get("schema") if wanted.get("type") == "json_schema" else None


def _has_result(message: Json) -> bool:
    return any(block.get("type") == "tool_result" for block in objects(message.get("content")))


def _layout(body: Json, tools: list[Json], messages: list[Json]) -> tuple[str, list[Mark]]:
    """The prompt as it is cached: tools, system, messages; with the end of each block."""
    blocks = [(json_text(_bare(tool)), tool) for tool in tools]
    blocks += _blocks(body.get("system"))
    for message in messages:
        blocks.append((f"{message.get('role')}:", {}))
        blocks += _blocks(message.get("content"))
    marks: list[Mark] = []
    end = 0
    for text, block in blocks:
        end += len(text) + 1
        marks.append(Mark(end=end, lifetime=_lifetime(block)))
    return "".join(f"{text}\n" for text, _ in blocks), marks


def _bare(block: Json) -> Json:
    return {key: value for key, value in block.items() if key != "cache_control"}


def _blocks(content: Any) -> list[tuple[str, Json]]:
    if isinstance(content, str):
        return [(content, {})]
    return [(text_of([_bare(block)]), block) for block in objects(content)]


def _lifetime(block: Json) -> Lifetime | None:
    control = block.get("cache_control")
    if not isinstance(control, dict):
        return None
    return "1h" if control.get("ttl") == "1h" else "5m"


def _usage(prompt: Prompt, said: Utterance, cache: CacheUse) -> Json:
    written = cache.written_5m + cache.written_1h
    return {
        "input_tokens": prompt.input_tokens - cache.read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cache.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": cache.written_5m,
            "ephemeral_1h_input_tokens": cache.written_1h,
        },
        "output_tokens": said.output_tokens,
        "service_tier": "standard",
    }


def _content(said: Utterance) -> list[Json]:
    blocks: list[Json] = [{"type": "text", "text": said.text}] if said.text else []
    for call in said.calls:
        name = f"toolu_{token_hex(12)}"
        blocks.append({"type": "tool_use", "id": name, "name": call.name, "input": call.arguments})
    return blocks


def _whole(message: Json, said: Utterance, usage: Json | None) -> bytes:
    body = {
        **message,
        "content": _content(said),
        "stop_reason": _STOP[said.ending],
        "stop_sequence": None,
    }
    return orjson.dumps(body if usage is None else {**body, "usage": usage})


def _stream(message: Json, said: Utterance, usage: Json | None) -> Iterator[bytes]:
    started = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    if usage is not None:
        started["usage"] = {**usage, "output_tokens": min(1, usage["output_tokens"])}
    yield _event("message_start", {"message": started})
    for index, block in enumerate(_content(said)):
        yield _event("content_block_start", {"index": index, "content_block": _begun(block)})
        if index == 0:
            yield _event("ping", {})
        for delta in _deltas(block):
            yield _event("content_block_delta", {"index": index, "delta": delta})
        yield _event("content_block_stop", {"index": index})
    ending: Json = {"delta": {"stop_reason": _STOP[said.ending], "stop_sequence": None}}
    if usage is not None:
        kept = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        ending["usage"] = {name: usage[name] for name in (*kept, "output_tokens")}
    yield _event("message_delta", ending)
    yield _event("message_stop", {})


def _begun(block: Json) -> Json:
    return {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}


def _deltas(block: Json) -> list[Json]:
    if block["type"] == "text":
        return [{"type": "text_delta", "text": piece} for piece in pieces(block["text"], 3)]
    arguments = json_text(block["input"]) or "{}"
    parts = ["", *(arguments[i : i + 10] for i in range(0, len(arguments), 10))]
    return [{"type": "input_json_delta", "partial_json": part} for part in parts]


def _event(name: str, value: Json) -> bytes:
    data = orjson.dumps({"type": name, **value})
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
