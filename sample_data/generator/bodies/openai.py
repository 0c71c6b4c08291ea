"""Chat completions as OpenAI and others speak them.

Owns the wire format of request, answer, stream and error.
"""

from __future__ import annotations

from typing import Any

import orjson

from sample_data.generator.planned import Ask, Counted, Message, Planned

FINISH = {"stop": "stop", "length": "length", "tool": "tool_calls"}
_TELLS_MORE = frozenset({"openai"})
"""Providers that break their counts down, and name a service tier."""


def request(ask: Ask) -> bytes:
    body: dict[str, Any] = {
        "model": ask.model.name,
        "messages": [
            {"role": "system", "content": ask.system.text},
            *(_message(message) for message in ask.messages),
        ],
        "max_completion_tokens": ask.limit,
    }
    if ask.feature.stream:
        body["stream"] = True
    if ask.feature.stream and ask.feature.asks_usage:
        body["stream_options"] = {"include_usage": True}
    if ask.feature.user_in_body and ask.person is not None:
        body["user"] = ask.person.user_id
    return orjson.dumps(body)


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": message.text}


def response(planned: Planned) -> tuple[bytes, dict[str, Any] | None]:
    usage = _usage(planned)
    if planned.ask.feature.stream:
        return _stream(planned, usage)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": " ".join(planned.answer.pieces)},
        "logprobs": None,
        "finish_reason": FINISH[planned.answer.ending],
    }
    body = {
        **_envelope(planned),
        "object": "chat.completion",
        "choices": [choice],
        "usage": usage,
    }
    return orjson.dumps(body), usage


def _envelope(planned: Planned) -> dict[str, Any]:
    model = planned.model
    shared: dict[str, Any] = {
        "id": f"chatcmpl-{planned.exchange_id}",
        "created": planned.started_at // 1_000_000,
        "model": model.full_name,
    }
    return shared | {"service_tier": "default"} if model.provider in _TELLS_MORE else shared


def _stream(planned: Planned, usage: dict[str, Any]) -> tuple[bytes, dict[str, Any] | None]:
    """One event per sentence. Of a cut stream the sentences that came, and no usage."""
    base = {**_envelope(planned), "object": "chat.completion.chunk"}
    opening = b"data: " + orjson.dumps(base)[:-1]
    before = opening + b',"choices":[{"index":0,"delta":{"content":"'
    after = b'"},"logprobs":null,"finish_reason":null}]}\n\n'
    pieces = planned.answer.pieces[: planned.fate.pieces_seen]
    said = before + (after + before + b" ").join(piece.encode() for piece in pieces) + after
    first = opening + b',"choices":[{"index":0,"delta":{"role":"assistant","content":""}'
    first += b',"logprobs":null,"finish_reason":null}]}\n\n'
    if planned.is_cut:
        return first + said, None
    end = b',"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"%s"}]}\n\n'
    last = opening + end % FINISH[planned.answer.ending].encode()
    if not planned.ask.feature.asks_usage:
        return b"".join((first, said, last, b"data: [DONE]\n\n")), None
    counts = opening + b',"choices":[],"usage":' + orjson.dumps(usage) + b"}\n\n"
    return b"".join((first, said, last, counts, b"data: [DONE]\n\n")), usage


def _usage(planned: Planned) -> dict[str, Any]:
    counted: Counted = planned.counted
    assert counted.input is not None
    assert counted.output is not None
    usage: dict[str, Any] = {
        "prompt_tokens": counted.input,
        "completion_tokens": counted.output,
        "total_tokens": counted.input + counted.output,
    }
    if planned.model.provider in _TELLS_MORE:
        usage["prompt_tokens_details"] = {"cached_tokens": counted.cache_read, "audio_tokens": 0}
        usage["completion_tokens_details"] = {
            "reasoning_tokens": counted.reasoning,
            "audio_tokens": 0,
        }
    return usage


def error(planned: Planned) -> bytes:
    fate = planned.fate
    too_many = fate.status == 429
    return orjson.dumps(
        {
            "error": {
                "message": fate.error_message,
                "type": "requests" if too_many else fate.error_type,
                "param": None,
                "code": fate.error_type if too_many else None,
            }
        }
    )
