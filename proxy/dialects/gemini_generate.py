"""Gemini's generateContent and what belongs to it, on the Gemini API and on Vertex.

Owns which requests are such, the facts of a request, and the framings of an answer: one object,
an event stream, or an array sent element by element. Refuses to trust the counts of a stream
that had not finished.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.body_labels import tags
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.decode import loads
from proxy.wire.errors import error_facts, error_in, refusal_in
from proxy.wire.event_blocks import event_blocks
from proxy.wire.fingerprint import fingerprint
from proxy.wire.gemini_answer import GeminiAnswer, chunk_text
from proxy.wire.gemini_usage import embedding_usage
from proxy.wire.json_array import elements, elements_with, last_element
from proxy.wire.prose import prose
from proxy.wire.request_document import read_document
from proxy.wire.skim import events_with
from proxy.wire.snake_case import camel_case, member
from proxy.wire.sse import parsed, whole_text
from proxy.wire.words import word

_MODEL_PATH = re.compile(r"/(?:models|tunedModels|endpoints)/([^:]+):([A-Za-z]+)$")
_CODE_ASSIST_PATH = re.compile(r"/v1internal(:)([A-Za-z]+)$")
_CACHE_PATH = re.compile(r"/cachedContents$")
_OPERATIONS = {
    "generateContent": "generate_content",
    "streamGenerateContent": "generate_content",
    "countTokens": "count_tokens",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
}
_STREAMED = "streamGenerateContent"
_NO_TEXT = frozenset(
    {"role", "data", "mimeType", "mime_type", "fileUri", "file_uri", "id", "taskType", "model"}
    | {"thoughtSignature", "thought_signature"}
)
_PROMPT = ("systemInstruction", "contents", "content", "requests")
# A chunk with none of these adds nothing but text, and usage that a later one replaces.
_TELLING = (
    *(b"finishReason", b"functionCall", b"groundingMetadata", b"promptFeedback", b'"error"'),
    *(b'"index": 1', b'"index":1'),  # a further candidate, which must finish too
)
_CUMULATIVE = (b'"usageMetadata"',)
_SAMPLE_BYTES = 1 << 16
_SNAKE_CASE = (b'"usage_metadata"', b'"finish_reason"', b'"function_call"')


class Chunks(NamedTuple):
    """The chunks of an answer that tell more than text, whether it is known to end there, what
    could not be read, and a way to all chunks where those found are not all."""

    found: list[dict[str, Any]]
    ended: bool
    parse_error: str | None = None
    all: Callable[[], Iterator[dict[str, Any]]] | None = None

    def text(self) -> str:
        return "".join(map(chunk_text, self.found if self.all is None else self.all()))


class GeminiGenerate:
    """See `proxy.facts.Dialect`."""

    name = "gemini_generate"

    def operation(self, head: RequestHead) -> str | None:
        if head.method != "POST":
            return None
        path = _tidy(head.path)
        if _CACHE_PATH.search(path):
            return "cached_contents"
        return _OPERATIONS.get(_method(path) or "")

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        document, parse_error = read_document(body)
        request = _object(document.get("request")) or document
        path = _tidy(head.path)
        in_path = _MODEL_PATH.search(path)
        in_body = word(document.get("model"))
        contents = member(request, "contents")
        bills = self.operation(head) in ("generate_content", "embeddings")
        return RequestFacts(
            model=in_path[1] if in_path else in_body and in_body.rpartition("/")[2],
            stream=_method(path) == _STREAMED,
            service_tier=word(member(request, "serviceTier")),
            message_count=len(contents) if isinstance(contents, list) else None,
            prompt_fingerprint=fingerprint(
                member(request, "systemInstruction") or None, request.get("tools") or None
            ),
            labels=tags(request.get("labels")),
            prompt_text=(lambda: _prompt_text(request)) if request and bills else None,
            parse_error=parse_error,
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        if head.status >= 400:
            return CopyReader(_read_refusal)
        operation = self.operation(head.request)
        if operation == "generate_content":
            return CopyReader(_read_answer)
        return CopyReader(_read_embedding if operation == "embeddings" else _read_unbilled)


def _read_answer(copy: Copy) -> ReplyFacts:
    answer, error = GeminiAnswer(), None
    chunks = _chunks(copy)
    for chunk in chunks.found:
        answer.take(chunk)
        error = error_in(chunk) or error
    answer.ended = chunks.ended and error is None
    error_type, error_message = error_facts(error)
    all_seen = not (copy.has_gap or chunks.parse_error)
    return ReplyFacts(
        model=answer.model,
        response_id=answer.response_id,
        service_tier=answer.service_tier,
        finish_reasons=answer.finish_reasons,
        tool_names=answer.tool_names if all_seen else answer.tool_names or None,
        tool_call_count=answer.tool_call_count if all_seen else None,
        usage=answer.usage,
        error_type=error_type,
        error_message=error_message,
        text=chunks.text,
        parse_error=chunks.parse_error,
    )


def _read_refusal(copy: Copy) -> ReplyFacts:
    chunks = _chunks(copy).found
    error_type, error_message = error_facts(
        refusal_in(chunks[-1]) if chunks else {"message": copy.words()}
    )
    return ReplyFacts(error_type=error_type, error_message=error_message)


def _read_embedding(copy: Copy) -> ReplyFacts:
    chunks = _chunks(copy)
    usage = _object(chunks.found[-1].get("usageMetadata")) if chunks.found else {}
    return ReplyFacts(usage=embedding_usage(usage), parse_error=chunks.parse_error)


def _read_unbilled(copy: Copy) -> ReplyFacts:
    return ReplyFacts(parse_error=_chunks(copy).parse_error)


def _chunks(copy: Copy) -> Chunks:
    if copy.is_empty:
        return Chunks([], ended=False)
    is_snake_case = any(map(_is_snake_case, copy.segments))
    if not copy.is_json:
        return _streamed(copy, is_snake_case)
    if copy.segments[0].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        chunks = _listed(copy, skim=not is_snake_case)
    else:
        document = copy.document()
        reason = document.parse_error and f"answer: {document.parse_error}"
        # Cut or not, what a single object says of its usage is final.
        chunks = Chunks([_unwrapped(document.value)], ended=True, parse_error=reason)
    if is_snake_case:
        return chunks._replace(found=[camel_case(chunk) for chunk in chunks.found], all=None)
    return chunks


def _is_snake_case(segment: bytes) -> bool:
    """By its beginning and its end, where names of more than one word stand."""
    ends = (segment[:_SAMPLE_BYTES], segment[_SAMPLE_BYTES:][-_SAMPLE_BYTES:])
    return any(name in end for end in ends for name in _SNAKE_CASE)


def _listed(copy: Copy, *, skim: bool) -> Chunks:
    listed = copy.segments[0]
    found, ended = (skim and elements_with(listed, _TELLING)) or elements(listed)
    if copy.has_gap:
        last = last_element(copy.segments[-1], "candidates")
        found += [last] if last else []
        ended = last is not None
    return Chunks([_unwrapped(chunk) for chunk in found], ended, all=lambda: _all_listed(copy))


def _all_listed(copy: Copy) -> Iterator[dict[str, Any]]:
    yield from map(_unwrapped, elements(copy.segments[0])[0])
    if copy.has_gap:
        yield _unwrapped(last_element(copy.segments[-1], "candidates"))


def _streamed(copy: Copy, is_snake_case: bool) -> Chunks:
    found: list[dict[str, Any]] = []
    unreadable = 0
    read = event_blocks if is_snake_case else _telling_blocks
    for block, is_torn in read(copy.segments):
        chunk = _chunk(block)
        if chunk is None:
            unreadable += not is_torn
        elif chunk:
            found.append(camel_case(chunk) if is_snake_case else chunk)
    reason = f"answer: {unreadable} events are not JSON" if unreadable else None
    if not (found or copy.has_gap):
        reason = "answer: neither JSON nor a stream of chunks"
    return Chunks(found, ended=False, parse_error=reason, all=lambda: _all_streamed(copy))


def _all_streamed(copy: Copy) -> Iterator[dict[str, Any]]:
    for block, _ in event_blocks(copy.segments):
        if chunk := _chunk(block):
            yield chunk


def _telling_blocks(segments: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """As `event_blocks`, without those that add nothing but text."""
    for number, segment in enumerate(segments):
        text = whole_text(segment)
        first, blank, _ = text.partition(b"\n\n")
        last = text.rpartition(b"\n\n")[2]
        yield first, number > 0 or not blank
        telling = events_with(
            text, keys=_TELLING, cumulative=_CUMULATIVE, start=len(first) + len(blank)
        )
        for block in telling:
            yield block, block == last


def _chunk(block: bytes) -> dict[str, Any] | None:
    """The data of an event, {} where it has none, None where it cannot be read."""
    event = parsed(block)
    if event is None or event.data == b"[DONE]":  # as some gateways end a stream
        return {}
    try:
        return _unwrapped(loads(event.data))
    except ValueError:
        return None


def _unwrapped(chunk: Any) -> dict[str, Any]:
    """The chunk itself: code assistants get it inside of a `response`."""
    return _object(_object(chunk).get("response")) or _object(chunk)


def _prompt_text(request: dict[str, Any]) -> str:
    spoken = [member(request, name) for name in _PROMPT]
    tools = request.get("tools")
    return prose(spoken, _NO_TEXT) + (json.dumps(tools, ensure_ascii=False) if tools else "")


def _method(path: str) -> str | None:
    found = _MODEL_PATH.search(path) or _CODE_ASSIST_PATH.search(path)
    return found[2] if found else None


def _tidy(path: str) -> str:
    return re.sub("/+", "/", unquote(path)).rstrip("/")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


DIALECT = GeminiGenerate()
