"""OpenAI chat completions: requests in, answers out, streamed or whole.

Owns the wire format. Refuses to decide what is said.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import orjson

from sample_data.demo.answers import Answer, Json, Question, Refusal
from sample_data.demo.models import full_name
from sample_data.demo.openai_errors import error, event, headers
from sample_data.demo.reading import json_text, limit, mapping, objects, required_list, text_of
from sample_data.demo.speech import Prompt, Tool, Utterance, compose, pieces

SSE = "text/event-stream; charset=utf-8"
_FINISH = {"stop": "stop", "length": "length", "tools": "tool_calls"}
_MAX_CHOICES = 16


def answer(question: Question) -> Answer:
    body = question.body
    prompt = _read(question)
    choices = limit(body, "n") or 1
    if choices > _MAX_CHOICES:
        raise Refusal(400, f"'n' has to be {_MAX_CHOICES} at most.", param="n")
    said = [compose(prompt, variant) for variant in range(choices)]
    cached = question.memory.cached_tokens(prompt.model, prompt.text)
    usage = _usage(prompt, said, cached) if question.with_usage else None
    envelope = {
        "id": f"chatcmpl-{token_hex(14)}",
        "created": int(time.time()),
        "model": full_name(question.model),
        "service_tier": tier(body),
        "system_fingerprint": "fp_demo0001",
    }
    lead = said[0].lead_seconds
    shared: dict[str, Any] = {
        "headers": headers(question.number, lead),
        "usage": usage,
        "lead_seconds": lead,
        "talk_seconds": max(each.talk_seconds for each in said),
    }
    if not body.get("stream"):
        return Answer(body=_whole(envelope, said, usage), **shared)
    wanted = bool(mapping(body.get("stream_options")).get("include_usage"))
    shared["usage"] = usage if wanted else None
    chunks = tuple(_stream(envelope, said, usage, wanted))
    failure = event(error(500, "The server had an error while processing your request."))
    return Answer(content_type=SSE, chunks=chunks, error_chunk=failure, **shared)


def tier(body: Json) -> str:
    """The tier that serves: the one asked for, where it is one."""
    asked = body.get("service_tier")
    return asked if asked in ("flex", "priority", "default") else "default"


def read_choice(choice: Any) -> str:
    """`tool_choice` in either of OpenAI's forms, as a word or a tool's name."""
    if isinstance(choice, dict):
        return str(mapping(choice.get("function")).get("name") or choice.get("name") or "auto")
    return choice if isinstance(choice, str) else "auto"


def _read(question: Question) -> Prompt:
    body = question.body
    messages = required_list(body, "messages")
    tools = [mapping(tool.get("function")) for tool in objects(body.get("tools"))]
    last = messages[-1]
    lines = [json_text(body.get("tools"))]
    for message in messages:
        calls = json_text(message.get("tool_calls"))
        lines.append(f"{message.get('role')}: {text_of(message.get('content'))}{calls}")
    return Prompt(
        model=question.model,
        text="\n".join(lines),
        last_user=text_of(last.get("content")) if last.get("role") == "user" else "",
        messages=len(messages),
        tools=tuple(Tool(name=str(f.get("name")), schema=f.get("parameters")) for f in tools),
        tool_choice=read_choice(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        limit=limit(body, "max_completion_tokens", "max_tokens"),
        schema=_schema(mapping(body.get("response_format"))),
        think=body.get("reasoning_effort") not in ("none", "minimal"),
    )


def _schema(wanted: Json) -> Any:
    if wanted.get("type") == "json_object":
        return {"properties": {"answer": {"type": "string"}}}
    if wanted.get("type") == "json_schema":
        return mapping(wanted.get("json_schema")).get("schema")
    return None


def _usage(prompt: Prompt, said: list[Utterance], cached: int) -> Json:
    output = sum(each.output_tokens for each in said)
    return {
        "prompt_tokens": prompt.input_tokens,
        "completion_tokens": output,
        "total_tokens": prompt.input_tokens + output,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(each.reasoning_tokens for each in said),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _whole(envelope: Json, said: list[Utterance], usage: Json | None) -> bytes:
    choices = []
    for index, each in enumerate(said):
        message: Json = {
            "role": "assistant",
            "content": None if each.calls else each.text,
            "refusal": None,
            "annotations": [],
        }
        if each.calls:
            message["tool_calls"] = _calls(each)
        choices.append(
            {
                "index": index,
                "message": message,
                "logprobs": None,
                "finish_reason": _FINISH[each.ending],
            }
        )
    body = {**envelope, "object": "chat.completion", "choices": choices}
    return orjson.dumps(body if usage is None else {**body, "usage": usage})


def _calls(said: Utterance) -> list[Json]:
    return [
        {
            "id": f"call_{token_hex(12)}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments_json},
        }
        for call in said.calls
    ]


def _stream(
    envelope: Json, said: list[Utterance], usage: Json | None, wanted: bool
) -> Iterator[bytes]:
    base = {**envelope, "object": "chat.completion.chunk"}
    if wanted:
        base["usage"] = None

    def chunk(index: int, delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event({**base, "choices": [choice]})

    deltas = [_deltas(each) for each in said]
    for step in range(max(len(each) for each in deltas)):
        for index, each in enumerate(deltas):  # the choices take turns
            if step < len(each):
                yield chunk(index, each[step])
    for index, utterance in enumerate(said):
        yield chunk(index, {}, _FINISH[utterance.ending])
    if wanted and usage is not None:
        yield event({**base, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _deltas(said: Utterance) -> list[Json]:
    if not said.calls:
        first: Json = {"role": "assistant", "content": "", "refusal": None}
        return [first, *({"content": piece} for piece in pieces(said.text))]
    deltas: list[Json] = [{"role": "assistant", "content": None, "refusal": None}]
    for index, call in enumerate(_calls(said)):
        function = call["function"]
        start = {**call, "index": index, "function": {"name": function["name"], "arguments": ""}}
        deltas.append({"tool_calls": [start]})
        for piece in _fragments(function["arguments"]):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    return deltas


def _fragments(arguments: str) -> list[str]:
    return [arguments[i : i + 8] for i in range(0, len(arguments), 8)]
