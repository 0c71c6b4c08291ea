"""OpenAI responses: requests in, answers out, streamed as its named events or whole.

Owns the wire format. Refuses background mode and stored responses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import orjson

from sample_data.demo.answers import Answer, Json, Question, Refusal
from sample_data.demo.models import full_name
from sample_data.demo.openai_chat import SSE, read_choice, tier
from sample_data.demo.openai_errors import headers
from sample_data.demo.reading import json_text, limit, mapping, objects, text_of
from sample_data.demo.speech import Prompt, Tool, Utterance, compose, pieces


def answer(question: Question) -> Answer:
    if question.body.get("background"):
        raise Refusal(400, "Background mode is not offered here.", param="background")
    prompt = _read(question)
    said = compose(prompt)
    cached = question.memory.cached_tokens(prompt.model, prompt.text)
    usage = _usage(prompt, said, cached) if question.with_usage else None
    items = _items(said)
    started = _response(question, "in_progress", [], None)
    ended = {**started, **_ended(said, items, usage)}
    shared: dict[str, Any] = {
        "headers": headers(question.number, said.lead_seconds),
        "usage": usage,
        "lead_seconds": said.lead_seconds,
        "talk_seconds": said.talk_seconds,
    }
    if not question.body.get("stream"):
        return Answer(body=orjson.dumps(ended), **shared)
    chunks = tuple(
        _event(number, value) for number, value in enumerate(_events(started, items, ended))
    )
    return Answer(content_type=SSE, chunks=chunks, error_chunk=_failure(started), **shared)


def _read(question: Question) -> Prompt:
    body = question.body
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else objects(given)
    if not items:
        raise Refusal(400, "Missing required parameter: 'input'.", param="input")
    last = items[-1]
    tools = [tool for tool in objects(body.get("tools")) if tool.get("type") == "function"]
    wanted = mapping(mapping(body.get("text")).get("format"))
    lines = [json_text(body.get("tools")), text_of(body.get("instructions"))]
    lines += [f"{item.get('role') or item.get('type')}: {_item_text(item)}" for item in items]
    return Prompt(
        model=question.model,
        text="\n".join(lines),
        last_user=text_of(last.get("content")) if last.get("role") == "user" else "",
        messages=len(items),
        tools=tuple(Tool(name=str(t.get("name")), schema=t.get("parameters")) for t in tools),
        tool_choice=read_choice(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        limit=limit(body, "max_output_tokens"),
        schema=_schema(wanted),
        think=mapping(body.get("reasoning")).get("effort") not in ("none", "minimal"),
    )


def _schema(wanted: Json) -> Any:
    if wanted.get("type") == "json_object":
        return {"properties": {"answer": {"type": "string"}}}
    return wanted.get("schema") if wanted.get("type") == "json_schema" else None


def _item_text(item: Json) -> str:
    if "content" in item:
        return text_of(item["content"])
    return text_of(item.get("output")) or text_of(item.get("arguments"))


def _usage(prompt: Prompt, said: Utterance, cached: int) -> Json:
    return {
        "input_tokens": prompt.input_tokens,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": said.output_tokens,
        "output_tokens_details": {"reasoning_tokens": said.reasoning_tokens},
        "total_tokens": prompt.input_tokens + said.output_tokens,
    }


def _response(question: Question, status: str, output: list[Json], usage: Json | None) -> Json:
    body = question.body
    return {
        "id": f"resp_{token_hex(24)}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": full_name(question.model),
        "output": output,
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": tier(body),
        "store": body.get("store") is not False,
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation") or "disabled",
        "usage": usage,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _ended(said: Utterance, items: list[Json], usage: Json | None) -> Json:
    cut = said.ending == "length"
    return {
        "status": "incomplete" if cut else "completed",
        "completed_at": None if cut else int(time.time()),
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": items,
        "usage": usage,
    }


def _items(said: Utterance) -> list[Json]:
    items: list[Json] = []
    if said.reasoning_tokens:
        items.append({"id": f"rs_{token_hex(24)}", "type": "reasoning", "summary": []})
    for call in said.calls:
        items.append(
            {
                "id": f"fc_{token_hex(24)}",
                "type": "function_call",
                "status": "completed",
                "arguments": call.arguments_json,
                "call_id": f"call_{token_hex(12)}",
                "name": call.name,
            }
        )
    if not said.calls:
        items.append(
            {
                "id": f"msg_{token_hex(24)}",
                "type": "message",
                "status": "incomplete" if said.ending == "length" else "completed",
                "content": [_part(said.text)],
                "role": "assistant",
            }
        )
    return items


def _part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _events(started: Json, items: list[Json], ended: Json) -> Iterator[Json]:
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    for index, item in enumerate(items):
        at = {"output_index": index}
        yield {"type": "response.output_item.added", **at, "item": _begun(item)}
        if item["type"] == "message":
            yield from _message_events({"item_id": item["id"], **at}, item)
        elif item["type"] == "function_call":
            yield from _call_events({"item_id": item["id"], **at}, item)
        yield {"type": "response.output_item.done", **at, "item": item}
    yield {"type": f"response.{ended['status']}", "response": ended}


def _begun(item: Json) -> Json:
    if item["type"] == "message":
        return {**item, "status": "in_progress", "content": []}
    if item["type"] == "function_call":
        return {**item, "status": "in_progress", "arguments": ""}
    return item


def _message_events(at: Json, item: Json) -> Iterator[Json]:
    at = {**at, "content_index": 0}
    part = item["content"][0]
    yield {"type": "response.content_part.added", **at, "part": _part("")}
    for piece in pieces(part["text"]):
        yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **at, "part": part}


def _call_events(at: Json, item: Json) -> Iterator[Json]:
    arguments: str = item["arguments"]
    for start in range(0, len(arguments), 8):
        delta = arguments[start : start + 8]
        yield {"type": "response.function_call_arguments.delta", **at, "delta": delta}
    yield {"type": "response.function_call_arguments.done", **at, "arguments": arguments}


def _event(number: int, value: Json) -> bytes:
    data = orjson.dumps({"type": value["type"], "sequence_number": number, **value})
    return b"event: " + str(value["type"]).encode() + b"\ndata: " + data + b"\n\n"


def _failure(started: Json) -> bytes:
    message = "The server had an error while processing your request."
    failed = {
        **started,
        "status": "failed",
        "error": {"code": "server_error", "message": message},
    }
    told = {"type": "error", "code": "server_error", "message": message, "param": None}
    return _event(900, told) + _event(901, {"type": "response.failed", "response": failed})
