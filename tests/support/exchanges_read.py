"""One exchange for each provider, endpoint and framing that is read, in our own wording.

Owns the answers, each with everything that such a provider reports there. The README's coverage
table is what they come to as rows, and the fuzzing starts from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support import event_messages
from tests.support.websocket_traffic import Direction

SSE = {"content-type": "text/event-stream"}
EVENTS = {"content-type": "application/vnd.amazon.eventstream"}
LINES = {"content-type": "application/x-ndjson"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One exchange. `framing`: whole, stream, array, lines, file or session."""

    provider: str
    endpoint: str
    framing: str = "whole"
    target: str
    method: str = "POST"
    status: int = 200
    request: bytes = b""
    answer: bytes
    headers: dict[str, str] = field(default_factory=dict)


def everything() -> Iterator[Said]:
    for family in (_openai, _speakers, _anthropic, _gemini, _bedrock, _others):
        yield from family()


def _openai() -> Iterator[Said]:
    for provider, base in (("openai", "/v1"), ("azure", "/openai/v1")):
        yield from _chat(provider, f"{base}/chat/completions", "gpt-4o", OPENAI_USAGE)
        yield from _responses(provider, f"{base}/responses")
        yield _plain(
            provider,
            "embeddings",
            f"{base}/embeddings",
            {"model": "text-embedding-3-small", "input": "A word."},
            {
                "model": "text-embedding-3-small",
                "data": [{"index": 0, "embedding": [0.5]}],
                "usage": {"prompt_tokens": 3, "total_tokens": 3},
            },
        )
    asked = {"model": "gpt-3.5-turbo-instruct", "prompt": "Say it."}
    end = {"index": 0, "text": "It.", "finish_reason": "stop"}
    answer = {"id": "c-2", "model": "gpt-3.5-turbo-instruct", "choices": [end]}
    used = {"usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}}
    yield _plain("openai", "completions", "/v1/completions", asked, answer | used)
    yield _streamed("openai", "completions", "/v1/completions", asked, [answer, answer | used])
    yield from _openai_media()
    yield from _openai_batches()
    yield _realtime()


def _openai_media() -> Iterator[Said]:
    used = {"input_tokens": 20, "output_tokens": 100, "total_tokens": 120}
    details = {"input_tokens_details": {"text_tokens": 12, "image_tokens": 8}}
    asked = {"model": "gpt-image-1", "prompt": "A boat."}
    image = {"created": 1, "data": [{"b64_json": "AAAA"}], "usage": used | details}
    yield _plain("openai", "images", "/v1/images/generations", asked, image)
    last = {"type": "image_generation.completed", "b64_json": "AAAA", "usage": used | details}
    yield _streamed("openai", "images", "/v1/images/generations", asked, [last], done=False)
    heard = {"type": "tokens", "input_tokens": 26, "output_tokens": 4, "total_tokens": 30}
    sound = {"text": "Hello.", "usage": heard | {"input_token_details": {"audio_tokens": 21}}}
    asked = {"model": "gpt-4o-transcribe"}
    yield _plain("openai", "transcriptions", "/v1/audio/transcriptions", asked, sound)
    ended = {"type": "transcript.text.done", **sound}
    yield _streamed("openai", "transcriptions", "/v1/audio/transcriptions", asked, [ended])
    lasted = {"text": "Hello.", "usage": {"type": "duration", "seconds": 30}}
    path = "/v1/audio/transcriptions"
    yield _plain("openai", "transcriptions by duration", path, {"model": "whisper-1"}, lasted)
    speech = {"type": "speech.audio.done", "usage": {"input_tokens": 6, "output_tokens": 40}}
    asked = {"model": "gpt-4o-mini-tts", "input": "Hello.", "stream_format": "sse"}
    yield _streamed("openai", "speech", "/v1/audio/speech", asked, [speech], done=False)
    yield Said(
        provider="openai",
        endpoint="speech by characters",
        target="/v1/audio/speech",
        request=_json({"model": "tts-1", "input": "Hello."}),
        answer=b"ID3 no words",
        headers={"content-type": "audio/mpeg"},
    )
    asked = {"model": "omni-moderation-latest", "input": "Hello."}
    flags = {"id": "m-1", "model": "omni-moderation-latest", "results": [{"flagged": False}]}
    yield _plain("openai", "moderations", "/v1/moderations", asked, flags)


def _openai_batches() -> Iterator[Said]:
    body = {"id": "c-3", "model": "gpt-4o", "choices": [], "usage": OPENAI_USAGE}
    line = {"id": "r-1", "custom_id": "job-1", "response": {"status_code": 200, "body": body}}
    yield _results("openai", "/v1/files/file-1/content", line, line)


def _realtime() -> Said:
    used = {
        "total_tokens": 140,
        "input_tokens": 100,
        "output_tokens": 40,
        "input_token_details": {
            "text_tokens": 60,
            "audio_tokens": 40,
            "cached_tokens": 64,
            "cached_tokens_details": {"text_tokens": 40, "audio_tokens": 24},
        },
        "output_token_details": {"text_tokens": 10, "audio_tokens": 30},
    }
    call = {"type": "function_call", "name": "look", "arguments": "{}"}
    response = {"id": "r-1", "status": "completed", "output": [call], "usage": used}
    messages = [
        {"type": "session.created", "session": {"id": "s-1", "model": "gpt-realtime"}},
        {"type": "response.done", "response": response},
    ]
    return Said(
        provider="openai",
        endpoint="realtime",
        framing="session",
        target="/v1/realtime?model=gpt-realtime",
        method="GET",
        status=101,
        answer=Direction().stream(messages),
    )


OPENAI_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 40,
    "total_tokens": 140,
    "prompt_tokens_details": {"cached_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 16},
}


def _speakers() -> Iterator[Said]:
    """Those who speak OpenAI's chat completions, each with its own words for the counts."""
    counts = {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140}
    hits = {"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36}
    thought = {"completion_tokens_details": {"reasoning_tokens": 16}}
    apart = {**counts, "completion_tokens": 24, **thought, **_details(64)}
    cost = {"cost": 0.00125, "cost_details": {"upstream_inference_cost": None}}
    perplexed = {"cost": {"total_cost": 0.0061}, "num_search_queries": 1}
    chat = "/v1/chat/completions"
    yield from _chat("mistral", chat, "mistral-large-latest", {**counts, "num_cached_tokens": 64})
    yield from _chat("groq", f"/openai{chat}", "openai/gpt-oss-120b", OPENAI_USAGE, groq=True)
    yield from _chat("deepseek", "/chat/completions", "deepseek-reasoner", counts | hits | thought)
    yield from _chat("xai", chat, "grok-3-mini", apart)
    yield from _chat("openrouter", "/api" + chat, "openai/gpt-4o", OPENAI_USAGE | cost)
    yield from _chat("together", chat, "meta-llama/Llama-3.3-70B-Instruct-Turbo", counts)
    fireworks = "accounts/fireworks/models/deepseek-v3"
    yield from _chat("fireworks", f"/inference{chat}", fireworks, counts | _details(64))
    yield from _chat("perplexity", "/chat/completions", "sonar", counts | perplexed, tools=False)
    yield from _chat("cerebras", chat, "gpt-oss-120b", counts | _details(64))
    yield from _chat("vllm", chat, "local/any", counts)


def _details(cached: int) -> dict[str, Any]:
    return {"prompt_tokens_details": {"cached_tokens": cached}}


def _chat(
    provider: str,
    target: str,
    model: str,
    usage: dict[str, Any],
    *,
    tools: bool = True,
    groq: bool = False,
) -> Iterator[Said]:
    asked = {"model": model, "messages": [{"role": "user", "content": "Look."}]}
    call = {"index": 0, "id": "t-1", "function": {"name": "look", "arguments": "{}"}}
    words = {"role": "assistant", "content": "Here."} | ({"tool_calls": [call]} if tools else {})
    end = "tool_calls" if tools else "stop"
    head = {"id": "c-1", "model": model}
    whole = {"index": 0, "message": words, "finish_reason": end}
    endpoint = "chat completions"
    yield _plain(provider, endpoint, target, asked, head | {"choices": [whole], "usage": usage})
    said = {"index": 0, "delta": {"content": "So."}, "finish_reason": None}
    first = {"index": 0, "delta": words, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": end}
    told = {"x_groq": {"usage": usage}} if groq else {"usage": usage}
    events = [head | {"choices": [choice]} for choice in (said, first)]
    events.append(head | {"choices": [last], **told})
    yield _streamed(provider, endpoint, target, asked | {"stream": True}, events)


def _responses(provider: str, target: str) -> Iterator[Said]:
    asked = {"model": "gpt-5", "input": "Look."}
    call = {"type": "function_call", "call_id": "t-1", "name": "look", "arguments": "{}"}
    used = {
        "input_tokens": 100,
        "output_tokens": 40,
        "total_tokens": 140,
        "input_tokens_details": {"cached_tokens": 64},
        "output_tokens_details": {"reasoning_tokens": 16},
    }
    response = {"id": "r-1", "object": "response", "model": "gpt-5", "status": "completed"}
    response |= {"service_tier": "default", "output": [call], "usage": used}
    yield _plain(provider, "responses", target, asked, response)
    begun = response | {"status": "in_progress", "output": [], "usage": None}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.done", "output_index": 0, "item": call},
        {"type": "response.completed", "response": response},
    ]
    yield _streamed(provider, "responses", target, asked | {"stream": True}, events, done=False)


def _anthropic() -> Iterator[Said]:
    claude = "claude-sonnet-4-5-20250929"
    vertex = f"/v1/projects/p/locations/l/publishers/anthropic/models/{claude}"
    yield from _messages("anthropic", "/v1/messages", "/v1/messages", claude)
    yield from _messages("vertex", f"{vertex}:rawPredict", f"{vertex}:streamRawPredict", claude)
    result = {"type": "succeeded", "message": _message(claude)}
    line = {"custom_id": "job-1", "result": result}
    yield _results("anthropic", "/v1/messages/batches/b-1/results", line)


CLAUDE_USAGE = {
    "input_tokens": 20,
    "cache_read_input_tokens": 60,
    "cache_creation_input_tokens": 20,
    "cache_creation": {"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5},
    "output_tokens": 40,
    "output_tokens_details": {"thinking_tokens": 16},
    "service_tier": "standard",
}


def _message(model: str) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "t-1", "name": "look", "input": {}}
    message = {"id": "m-1", "type": "message", "model": model, "content": [call]}
    return message | {"stop_reason": "tool_use", "usage": CLAUDE_USAGE}


def _messages(provider: str, target: str, stream_target: str, model: str) -> Iterator[Said]:
    asked = {"model": model, "max_tokens": 99, "messages": [{"role": "user", "content": "Look."}]}
    message = _message(model)
    yield _plain(provider, "messages", target, asked, message)
    begun = message | {"content": [], "stop_reason": None}
    (call,) = message["content"]
    events: list[Any] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": call},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": CLAUDE_USAGE},
        {"type": "message_stop"},
    ]
    yield _streamed(
        provider, "messages", stream_target, asked | {"stream": True}, events, done=False
    )


def _gemini() -> Iterator[Said]:
    vertex = "/v1/projects/p/locations/l/publishers/google/models"
    for provider, models in (("gemini", "/v1beta/models"), ("vertex", vertex)):
        yield from _generate(provider, f"{models}/gemini-2.5-pro")
    for provider, base in (("gemini", "/v1beta"), ("vertex", "/v1beta1/projects/p/locations/l")):
        yield from _interactions(provider, f"{base}/interactions")
    yield _live("gemini", "google.ai.generativelanguage.v1beta.GenerativeService.Bidi")
    yield _live("vertex", "google.cloud.aiplatform.v1.LlmBidiService/Bidi")
    counted = {"embedding": {"values": [0.5]}, "usageMetadata": {"promptTokenCount": 3}}
    yield _plain(
        "gemini",
        "embedContent",
        "/v1beta/models/gemini-embedding-001:embedContent",
        {"content": {"parts": [{"text": "A word."}]}},
        counted,
    )
    statistics = {"statistics": {"token_count": 3}, "values": [0.5]}
    yield _plain(
        "vertex",
        "predict (embeddings)",
        f"{vertex}/text-embedding-005:predict",
        {"instances": [{"content": "A word."}]},
        {"predictions": [{"embeddings": statistics}]},
    )


def _generate(provider: str, model: str) -> Iterator[Said]:
    asked = {"contents": [{"role": "user", "parts": [{"text": "Look."}]}]}
    used = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 64,
        "candidatesTokenCount": 24,
        "thoughtsTokenCount": 16,
        "totalTokenCount": 140,
    }
    head = {"modelVersion": "gemini-2.5-pro", "responseId": "r-1", "usageMetadata": used}
    call = {"functionCall": {"name": "look", "args": {}}}
    content = {"role": "model", "parts": [{"text": "Here."}, call]}
    last = head | {"candidates": [{"index": 0, "content": content, "finishReason": "STOP"}]}
    words = {"role": "model", "parts": [{"text": "So."}]}
    first = head | {"candidates": [{"index": 0, "content": words}]}
    endpoint, streamed = "generateContent", f"{model}:streamGenerateContent"
    yield _plain(provider, endpoint, f"{model}:generateContent", asked, last)
    yield _streamed(provider, endpoint, f"{streamed}?alt=sse", asked, [first, last], done=False)
    yield Said(
        provider=provider,
        endpoint=endpoint,
        framing="array",
        target=streamed,
        request=_json(asked),
        answer=_json([first, last]),
    )


def _interactions(provider: str, target: str) -> Iterator[Said]:
    asked = {"model": "gemini-2.5-pro", "input": "Look."}
    used = {
        "total_input_tokens": 100,
        "total_cached_tokens": 64,
        "total_output_tokens": 24,
        "total_thought_tokens": 16,
        "total_tokens": 140,
    }
    call = {"type": "function_call", "id": "t-1", "name": "look", "arguments": {}}
    begun = {"id": "i-1", "status": "in_progress", "model": "gemini-2.5-pro"}
    ended = begun | {"status": "requires_action", "usage": used}
    yield _plain(provider, "interactions", target, asked, ended | {"steps": [call]})
    events = [
        {"interaction": begun, "event_type": "interaction.created"},
        {"index": 0, "step": call, "event_type": "step.start"},
        {"index": 0, "event_type": "step.stop"},
        {"interaction": ended, "event_type": "interaction.completed"},
    ]
    yield _streamed(provider, "interactions", target, asked | {"stream": True}, events)
    read_back = target + "/i-1?stream=false"
    yield replace(
        _plain(provider, "interactions read back", read_back, {}, ended | {"steps": [call]}),
        method="GET",
        request=b"",
    )


def _live(provider: str, service: str) -> Said:
    used = {
        "promptTokenCount": 100,
        "responseTokenCount": 24,
        "thoughtsTokenCount": 16,
        "totalTokenCount": 140,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 60},
            {"modality": "AUDIO", "tokenCount": 40},
        ],
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 24}],
    }
    sound = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": "AAAA"}}
    calls = [{"id": "t-1", "name": "look", "args": {}}]
    messages = [
        {"setupComplete": {}},
        {"serverContent": {"modelTurn": {"parts": [sound]}}},
        {"toolCall": {"functionCalls": calls}},
        {"serverContent": {"turnComplete": True}, "usageMetadata": used},
    ]
    setup = {"model": "models/gemini-live-2.5-flash"}
    return Said(
        provider=provider,
        endpoint="live",
        framing="session",
        target=f"/ws/{service}GenerateContent",
        method="GET",
        status=101,
        request=Direction(masked=True).stream([{"setup": setup}]),
        answer=Direction().stream(messages),
    )


def _bedrock() -> Iterator[Said]:
    claude = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    model = f"/model/us.{claude}"
    used = {"inputTokens": 20, "outputTokens": 40, "totalTokens": 140}
    used |= {"cacheReadInputTokens": 60, "cacheWriteInputTokens": 20}
    tool = {"toolUse": {"toolUseId": "t-1", "name": "look", "input": {}}}
    asked = {"messages": [{"role": "user", "content": [{"text": "Look."}]}]}
    message = {"message": {"role": "assistant", "content": [tool]}}
    answer = {"output": message, "stopReason": "tool_use", "usage": used}
    yield _plain("bedrock", "converse", f"{model}/converse", asked, answer)
    begun = {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t-1", "name": "look"}}}
    yield Said(
        provider="bedrock",
        endpoint="converse",
        framing="stream",
        target=f"{model}/converse-stream",
        request=_json(asked),
        answer=event_messages.events(
            ("messageStart", {"role": "assistant"}),
            ("contentBlockStart", begun),
            ("contentBlockStop", {"contentBlockIndex": 0}),
            ("messageStop", {"stopReason": "tool_use"}),
            ("metadata", {"usage": used, "metrics": {"latencyMs": 5}}),
        ),
        headers=EVENTS,
    )
    yield from _invoke(model)


def _invoke(model: str) -> Iterator[Said]:
    asked = {"max_tokens": 99, "messages": [{"role": "user", "content": "Look."}]}
    message = _message("claude-sonnet-4-5-20250929")
    yield _plain("bedrock", "invoke (Claude)", f"{model}/invoke", asked, message)
    (call,) = message["content"]
    yield Said(
        provider="bedrock",
        endpoint="invoke (Claude)",
        framing="stream",
        target=f"{model}/invoke-with-response-stream",
        request=_json(asked),
        answer=event_messages.chunks(
            {"type": "message_start", "message": message | {"content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": call},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": CLAUDE_USAGE},
            {"type": "message_stop"},
        ),
        headers=EVENTS,
    )


def _others() -> Iterator[Said]:
    yield from _cohere()
    yield from _ollama()
    result = {"generated_text": "Here.", "stop_reason": "eos_token"}
    result |= {"generated_token_count": 40, "input_token_count": 100}
    asked: dict[str, Any] = {"model_id": "ibm/granite-3-8b-instruct", "input": "Look."}
    answer: dict[str, Any] = {"model_id": "ibm/granite-3-8b-instruct", "results": [result]}
    path = "/ml/v1/text/generation?version=2025-01-01"
    yield _plain("watsonx", "text generation", path, asked, answer)
    metrics = {"input_token_count": 100, "output_token_count": 40}
    answer = {"id": "p-1", "status": "succeeded", "output": ["Here."], "metrics": metrics}
    answer |= {"model": "meta/meta-llama-3-8b-instruct"}
    asked = {"input": {"prompt": "Look."}}
    path = "/v1/models/meta/meta-llama-3-8b-instruct/predictions"
    yield _plain("replicate", "predictions", path, asked, answer)
    asked = {"model": "voyage-3.5", "input": "A word."}
    answer = {"model": "voyage-3.5", "data": [{"embedding": [0.5]}], "usage": {"total_tokens": 3}}
    yield _plain("voyageai", "embeddings", "/v1/embeddings", asked, answer)
    asked = {"model": "rerank-2.5", "query": "A word.", "documents": ["Two words."]}
    answer = {"model": "rerank-2.5", "data": [{"index": 0}], "usage": {"total_tokens": 9}}
    yield _plain("voyageai", "rerank", "/v1/rerank", asked, answer)


def _cohere() -> Iterator[Said]:
    model = "command-a-03-2025"
    asked: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "Look."}]}
    billed = {"input_tokens": 100, "output_tokens": 40}
    used = {"billed_units": billed, "tokens": {"input_tokens": 180, "output_tokens": 45}}
    call = {"id": "t-1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    end = {"finish_reason": "TOOL_CALL", "usage": used}
    answer = {"id": "c-1", "message": {"role": "assistant", "tool_calls": [call]}, **end}
    yield _plain("cohere", "chat", "/v2/chat", asked, answer)
    events = [
        {"type": "message-start", "id": "c-1"},
        {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}},
        {"type": "message-end", "delta": end},
    ]
    yield _streamed("cohere", "chat", "/v2/chat", asked | {"stream": True}, events, done=False)
    asked = {"model": "embed-v4.0", "texts": ["A word."]}
    answer = {"id": "e-1", "meta": {"billed_units": {"input_tokens": 3}}}
    yield _plain("cohere", "embed", "/v2/embed", asked, answer)
    asked = {"model": "rerank-v3.5", "query": "A word.", "documents": ["Two words."]}
    answer = {"id": "k-1", "results": [], "meta": {"billed_units": {"search_units": 1}}}
    yield _plain("cohere", "rerank", "/v2/rerank", asked, answer)


def _ollama() -> Iterator[Said]:
    for endpoint, words in (
        ("chat", {"message": {"role": "assistant", "content": "Here.", "tool_calls": [_CALL]}}),
        ("generate", {"response": "Here."}),
    ):
        asked: dict[str, Any] = {"model": "llama3.2", "prompt": "Look."}
        if endpoint == "chat":
            asked = {"model": "llama3.2", "messages": [{"role": "user", "content": "Look."}]}
        ended = {"done": True, "done_reason": "stop", "prompt_eval_count": 100, "eval_count": 40}
        answer = {"model": "llama3.2", **words, **ended}
        asked |= {"stream": False}
        yield _plain("ollama", f"api/{endpoint}", f"/api/{endpoint}", asked, answer)
        yield Said(
            provider="ollama",
            endpoint=f"api/{endpoint}",
            framing="lines",
            target=f"/api/{endpoint}",
            request=_json({**asked, "stream": True}),
            answer=_lines({"model": "llama3.2", **words, "done": False}, {**answer, "message": {}}),
            headers=LINES,
        )


_CALL = {"function": {"name": "look", "arguments": {}}}


def _plain(provider: str, endpoint: str, target: str, asked: Any, answer: Any) -> Said:
    return Said(
        provider=provider,
        endpoint=endpoint,
        target=target,
        request=_json(asked),
        answer=_json(answer),
        headers={"content-type": "application/json"},
    )


def _streamed(
    provider: str, endpoint: str, target: str, asked: Any, events: list[Any], *, done: bool = True
) -> Said:
    named = (
        (b"event: %b\n" % event["type"].encode() if "type" in event else b"")
        + b"data: %b\n\n" % _json(event)
        for event in events
    )
    return Said(
        provider=provider,
        endpoint=endpoint,
        framing="stream",
        target=target,
        request=_json(asked),
        answer=b"".join(named) + (b"data: [DONE]\n\n" if done else b""),
        headers=SSE,
    )


def _results(provider: str, target: str, *lines: Any) -> Said:
    """A file of results. Only its length tells whether a line is missing at its end."""
    data = _lines(*lines)
    return Said(
        provider=provider,
        endpoint="batch results",
        framing="file",
        target=target,
        method="GET",
        answer=data,
        headers={"content-length": str(len(data))},
    )


def _lines(*values: Any) -> bytes:
    return b"".join(_json(value) + b"\n" for value in values)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
