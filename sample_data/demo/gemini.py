"""Gemini generateContent: requests in, answers out, as events, as one array, or whole.

Owns the wire format, its errors and its headers, and which verb does what. Refuses to decide
what is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import orjson

from sample_data.demo.answers import Answer, Answerer, Json, Question, Refusal
from sample_data.demo.embeddings import gemini_requests, gemini_vectors
from sample_data.demo.gemini_request import read
from sample_data.demo.reading import either, limit, mapping
from sample_data.demo.speech import Prompt, Utterance, compose, count_tokens, pieces

_JSON = "application/json; charset=UTF-8"
_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tools": "STOP"}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
}
_PRETTY = orjson.OPT_INDENT_2
_WORDS_PER_CHUNK = 12
_MAX_CANDIDATES = 8


def generate(question: Question) -> Answer:
    said, usage, shared = _say(question)
    body = {
        "candidates": [_candidate(index, each) for index, each in enumerate(said)],
        **_meta(question.model, usage),
    }
    return Answer(content_type=_JSON, body=orjson.dumps(body, option=_PRETTY), **shared)


def stream(question: Question) -> Answer:
    said, usage, shared = _say(question)
    parts = list(_parts(question.model, said, usage))
    failure = _error(503, "The model is overloaded. Please try again later.")
    if question.as_sse:
        chunks = tuple(_event(part) for part in parts)
        return Answer(
            content_type="text/event-stream", chunks=chunks, error_chunk=_event(failure), **shared
        )
    texts = [orjson.dumps(part, option=_PRETTY) for part in parts]
    chunks = (b"[" + texts[0], *(b",\r\n" + text for text in texts[1:]), b"]")
    told = b",\r\n" + orjson.dumps(failure, option=_PRETTY)
    return Answer(content_type=_JSON, chunks=chunks, error_chunk=told, tail=b"]", **shared)


def count(question: Question) -> Answer:
    nested = either(question.body, "generateContentRequest")
    prompt = read(question.model, mapping(nested) or question.body)
    tokens = prompt.input_tokens
    body = {"totalTokens": tokens, "promptTokensDetails": _text_modality(tokens)}
    return _small(body)


def embed(question: Question) -> Answer:
    vectors, tokens = gemini_vectors(question, [question.body])
    return _embedded(question, {"embedding": vectors[0]}, tokens)


def embed_batch(question: Question) -> Answer:
    vectors, tokens = gemini_vectors(question, gemini_requests(question.body))
    return _embedded(question, {"embeddings": vectors}, tokens)


VERBS: dict[str, Answerer] = {
    "generateContent": generate,
    "streamGenerateContent": stream,
    "countTokens": count,
    "embedContent": embed,
    "batchEmbedContents": embed_batch,
}


def refuse(refusal: Refusal, _number: int) -> Answer:
    headers = _headers(0.02)
    if refusal.retry_after is not None:
        headers["retry-after"] = refusal.retry_after
    body = orjson.dumps(_error(refusal.status, refusal.message), option=_PRETTY)
    return Answer(status=refusal.status, content_type=_JSON, headers=headers, body=body)


def _headers(lead_seconds: float) -> dict[str, str]:
    return {
        "server-timing": f"gfet4t7; dur={round(lead_seconds * 1000)}",
        "vary": "Origin, X-Origin, Referer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        "x-xss-protection": "0",
    }


def _error(code: int, message: str) -> Json:
    status = _STATUSES.get(code, "UNAVAILABLE")
    return {"error": {"code": code, "message": message, "status": status}}


def _small(body: Json, usage: Json | None = None) -> Answer:
    return Answer(
        content_type=_JSON,
        headers=_headers(0.1),
        body=orjson.dumps(body, option=_PRETTY),
        usage=usage,
        lead_seconds=0.1,
    )


def _embedded(question: Question, body: Json, tokens: int) -> Answer:
    """Only the second generation of embedding models reports what it used."""
    if not question.with_usage or "embedding-2" not in question.model:
        return _small(body)
    usage = {"promptTokenCount": tokens, "promptTokensDetails": _text_modality(tokens)}
    return _small({**body, "usageMetadata": usage}, usage)


def _say(question: Question) -> tuple[list[Utterance], Json | None, dict[str, Any]]:
    prompt = read(question.model, question.body)
    config = mapping(either(question.body, "generationConfig"))
    candidates = limit(config, "candidateCount", "candidate_count") or 1
    if candidates > _MAX_CANDIDATES:
        raise Refusal(400, f"candidateCount has to be {_MAX_CANDIDATES} at most.")
    said = [compose(prompt, variant) for variant in range(candidates)]
    cached = question.memory.cached_tokens(prompt.model, prompt.text)
    usage = _usage(prompt, said, cached) if question.with_usage else None
    shared: dict[str, Any] = {
        "headers": _headers(said[0].lead_seconds),
        "usage": usage,
        "lead_seconds": said[0].lead_seconds,
        "talk_seconds": max(each.talk_seconds for each in said),
    }
    return said, usage, shared


def _usage(prompt: Prompt, said: list[Utterance], cached: int) -> Json:
    visible = sum(each.text_tokens for each in said)
    thoughts = sum(each.reasoning_tokens for each in said)
    usage: Json = {
        "promptTokenCount": prompt.input_tokens,
        "candidatesTokenCount": visible,
        "totalTokenCount": prompt.input_tokens + visible + thoughts,
        "promptTokensDetails": _text_modality(prompt.input_tokens),
    }
    if cached:
        usage["cachedContentTokenCount"] = cached
        usage["cacheTokensDetails"] = _text_modality(cached)
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    return usage


def _text_modality(tokens: int) -> list[Json]:
    return [{"modality": "TEXT", "tokenCount": tokens}]


def _meta(model: str, usage: Json | None) -> Json:
    meta = {"modelVersion": model, "responseId": token_hex(12)}
    return meta if usage is None else {"usageMetadata": usage, **meta}


def _candidate(index: int, said: Utterance) -> Json:
    return {
        "content": {"parts": _content(said), "role": "model"},
        "finishReason": _FINISH[said.ending],
        "index": index,
    }


def _content(said: Utterance) -> list[Json]:
    if not said.calls:
        return [{"text": said.text}]
    return [{"functionCall": {"name": c.name, "args": c.arguments}} for c in said.calls]


def _parts(model: str, said: list[Utterance], usage: Json | None) -> Iterator[Json]:
    """The chunks of a stream: usage grows, and the last chunk has all of it."""
    steps = list(_steps(said))
    meta = _meta(model, None)
    spoken = 0
    for number, candidate in enumerate(steps, 1):
        spoken += count_tokens(str(candidate["content"]["parts"][0].get("text", "")))
        part: Json = {"candidates": [candidate]}
        if usage is not None:
            part["usageMetadata"] = usage if number == len(steps) else _so_far(usage, spoken)
        yield {**part, **meta}


def _so_far(usage: Json, spoken: int) -> Json:
    spoken = min(spoken, usage["candidatesTokenCount"])
    before = usage["totalTokenCount"] - usage["candidatesTokenCount"]
    return {**usage, "candidatesTokenCount": spoken, "totalTokenCount": before + spoken}


def _steps(said: list[Utterance]) -> Iterator[Json]:
    for index, each in enumerate(said):
        texts = [] if each.calls else pieces(each.text, _WORDS_PER_CHUNK)
        for text in texts[:-1]:
            yield {"content": {"parts": [{"text": text}], "role": "model"}, "index": index}
        last = [{"text": texts[-1]}] if texts else _content(each)
        content = {"parts": last, "role": "model"}
        yield {"content": content, "finishReason": _FINISH[each.ending], "index": index}


def _event(value: Json) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\r\n\r\n"
