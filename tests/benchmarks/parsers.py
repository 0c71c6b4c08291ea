"""How fast copies are read: python -m tests.benchmarks.parsers

Megabytes a second (the best of some runs) for large streamed answers in each format. By the time
of the processor: read alone, and from the frames of a journal to rows in Arrow. Then the poster's
whole way from frames to rows in the store, contents compressed and written: by the processor and
by the clock, over a journal of several batches, of which one is written while the next is read.
Sizes and shapes are those of long answers: short pieces of text, each in an event of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analytics import intake
from analytics.batch import prepare
from analytics.positions import Positions
from analytics.poster import Poster
from analytics.prices import PriceBook
from analytics.store import NAME
from proxy.facts import RequestHead
from proxy.journal import Closed, JournalWriter, Opened
from proxy.reading import Copied, read
from tests.support import event_messages

WORDS = "a few words, about as many as come at once"
SSE = {"content-type": "text/event-stream"}
EVENTS = {"content-type": "application/vnd.amazon.eventstream"}
_AT_ONCE = 8
"""So many answers are a batch, for rows in Arrow."""
_BACKLOG = 120
"""So many are posted to the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One large answer."""

    name: str
    provider: str
    target: str
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: SSE)


_SMALL = Stream(name="", provider="openai", target="/v1/chat/completions", body=b"{}")
"""With this one the store is made."""


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast copies are read.")
    parser.add_argument("--megabytes", type=float, default=4.0, help="of each answer")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    streams = list(_streams(int(args.megabytes * 1e6)))
    gc.collect()
    gc.freeze()
    print(f"{'format':26} {'MB':>5} {'read MB/s':>9} {'us/KB':>6} ", end="")
    print(f"{'to Arrow':>9} {'to store':>9} {'by the clock':>13}")
    for stream in streams:
        size = len(stream.body) / 1e6
        reading = _best(lambda stream=stream: _read(stream), args.runs)  # type: ignore[misc]
        preparing = _preparing_seconds(stream, args.runs)
        storing, waiting = _storing_seconds(stream, min(args.runs, 3))
        print(
            f"{stream.name:26} {size:5.1f} {size / reading:9.0f} {reading / size * 1000:6.2f} "
            f"{size / preparing:9.0f} {size / storing:9.0f} {size / waiting:13.0f}"
        )


def _best(run: Callable[[], Any], runs: int) -> float:
    seconds = []
    for _ in range(runs):
        began = time.process_time()
        run()
        seconds.append(time.process_time() - began)
    return min(seconds)


def _read(stream: Stream) -> None:
    head = RequestHead(provider=stream.provider, method="POST", target=stream.target)
    reading = read(head, Copied(b'{"model": "m"}'), 200, stream.headers, Copied(stream.body))
    assert reading.reply is not None
    assert reading.reply.usage is not None, stream.name
    assert reading.reply.usage.output_tokens == 99, stream.name


def _preparing_seconds(stream: Stream, runs: int) -> float:
    """Of the processor, for one answer from its frames to rows in Arrow."""
    with tempfile.TemporaryDirectory() as made:
        journal, book = Path(made) / "journal", PriceBook()
        _write(journal, [stream] * _AT_ONCE)

        def prepared() -> None:
            before = Positions(store_id="", batch=0)
            batch = intake.collect(journal, before)
            assert len(prepare(before, batch, book).records) == _AT_ONCE

        return _best(prepared, runs) / _AT_ONCE


def _storing_seconds(stream: Stream, runs: int) -> tuple[float, float]:
    """Of the processor and of the clock, for one answer from its frames to the store."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _write(folder / "journal", [stream] * _BACKLOG)
        times = [_stored(folder / "journal", folder / f"data-{n}") for n in range(runs)]
    busy, waited = (min(each) for each in zip(*times, strict=True))
    return busy / _BACKLOG, waited / _BACKLOG


def _stored(journal: Path, data_dir: Path) -> tuple[float, float]:
    """Seconds of the processor and of the clock in which a store that is there got all rows."""
    _write(data_dir / "journal", [_SMALL])
    poster = Poster(data_dir)
    assert poster.post_once().rows == 1
    shutil.copytree(journal, data_dir / "journal", copy_function=os.link, dirs_exist_ok=True)
    busy, began = time.process_time(), time.perf_counter()
    rows = 0
    while rows < _BACKLOG:
        rows += poster.post_once().rows
    spent = time.process_time() - busy, time.perf_counter() - began
    poster.close()
    (data_dir / NAME).unlink()
    return spent


def _write(journal: Path, streams: Sequence[Stream]) -> None:
    writer = JournalWriter(journal, fsync="interval", segment_bytes=1 << 30)
    for number, stream in enumerate(streams):
        _append(writer, stream, number)
    writer.close()


def _append(writer: JournalWriter, stream: Stream, number: int) -> None:
    moment = (time.time_ns() // 1_000_000) << 80
    exchange_id = str(uuid.UUID(int=moment | 7 << 76 | 2 << 62 | number))
    shared: dict[str, Any] = {"exchange_id": exchange_id, "node": "", "started_at": 1}
    opened = Opened(provider=stream.provider, method="POST", target=stream.target, **shared)
    writer.append(opened, b'{"model": "m"}')
    closed = Closed(
        outcome="completed",
        status=200,
        headers=list(stream.headers.items()),
        response_bytes=len(stream.body),
        **shared,
    )
    writer.append(closed, b"", stream.body)


def _streams(size: int) -> Iterator[Stream]:
    yield _sse("OpenAI chat", "openai", "/v1/chat/completions", _chat, _CHAT_END, size)
    yield _sse("OpenAI responses", "openai", "/v1/responses", _response, _RESPONSE_END, size)
    yield _sse("Anthropic messages", "anthropic", "/v1/messages", _claude, _CLAUDE_END, size)
    gemini = "/v1beta/models/gemini-2.5-pro:streamGenerateContent"
    yield _sse("Gemini, events", "gemini", f"{gemini}?alt=sse", _gemini, _GEMINI_END, size)
    compact = _lines(_gemini, _GEMINI_END, size, b"\n,\r\n")
    interactions = "/v1beta/interactions"
    yield _sse("Interactions", "gemini", interactions, _interaction, _INTERACTION_END, size)
    yield _json("Gemini, array", "gemini", gemini, b"[" + compact + b"\n]")
    indented = b"[" + _lines(_gemini, _GEMINI_END, size, b"\n,\r\n", indent=2) + b"]"
    yield _json("Gemini, indented array", "gemini", gemini, indented)
    ollama = _lines(_ollama, [{"done": True, "prompt_eval_count": 9, "eval_count": 99}], size)
    yield _json("Ollama", "ollama", "/api/generate", ollama)
    yield _sse("Cohere", "cohere", "/v2/chat", _cohere, _COHERE_END, size)
    yield _bedrock("Bedrock converse", "converse-stream", _converse, _CONVERSE_END, size)
    yield _bedrock("Bedrock invoke", "invoke-with-response-stream", _claude, _CLAUDE_END, size)


def _chat(number: int) -> Any:
    delta = {"index": 0, "delta": {"content": f"{WORDS} {number}"}, "finish_reason": None}
    return {"id": "c-1", "object": "chat.completion.chunk", "model": "m", "choices": [delta]}


_CHAT_END = [
    {"id": "c-1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"id": "c-1", "model": "m", "choices": [], "usage": {"completion_tokens": 99}},
]


def _response(number: int) -> Any:
    event = {"type": "response.output_text.delta", "item_id": "i-1", "output_index": 0}
    return event | {"sequence_number": number, "delta": f"{WORDS} {number}"}


_RESPONSE_END = [
    {
        "type": "response.completed",
        "response": {"model": "m", "status": "completed", "usage": {"output_tokens": 99}},
    }
]


def _claude(number: int) -> Any:
    delta = {"type": "text_delta", "text": f"{WORDS} {number}"}
    if number == 0:
        message = {"type": "message", "model": "m", "usage": {"input_tokens": 9}}
        return {"type": "message_start", "message": message}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


_CLAUDE_END = [
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"input_tokens": 9, "output_tokens": 99},
    },
    {"type": "message_stop"},
]


def _gemini(number: int, used: int = 1) -> Any:
    content = {"role": "model", "parts": [{"text": f"{WORDS} {number}"}]}
    counts = {"promptTokenCount": 9, "candidatesTokenCount": used, "totalTokenCount": 9 + used}
    chunk = {"candidates": [{"content": content, "index": 0}], "usageMetadata": counts}
    return chunk | {"modelVersion": "m", "responseId": "r-1"}


_GEMINI_LAST = _gemini(0, 99)
_GEMINI_LAST["candidates"][0]["finishReason"] = "STOP"
_GEMINI_END = [_GEMINI_LAST]


def _interaction(number: int) -> Any:
    if number == 0:
        begun = {"id": "i-1", "status": "in_progress", "model": "m"}
        return {"interaction": begun, "event_type": "interaction.created"}
    delta = {"type": "text", "text": f"{WORDS} {number}"}
    return {"index": 0, "delta": delta, "event_type": "step.delta"}


_INTERACTION_END = [
    {
        "interaction": {"status": "completed", "usage": {"total_output_tokens": 99}},
        "event_type": "interaction.completed",
    }
]


def _ollama(_: int) -> Any:
    return {"model": "m", "created_at": "2026-01-01T00:00:00Z", "response": WORDS, "done": False}


def _cohere(number: int) -> Any:
    message = {"content": {"text": f"{WORDS} {number}"}}
    return {"type": "content-delta", "index": 0, "delta": {"message": message}}


_COHERE_END = [
    {
        "type": "message-end",
        "delta": {"finish_reason": "COMPLETE", "usage": {"billed_units": {"output_tokens": 99}}},
    }
]


def _converse(number: int) -> Any:
    delta = {"contentBlockIndex": 0, "delta": {"text": f"{WORDS} {number}"}, "p": "abcdefgh"}
    return ("contentBlockDelta", delta)


_CONVERSE_END = [
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": {"inputTokens": 9, "outputTokens": 99, "totalTokens": 108}}),
]


def _pieces(make: Callable[[int], Any], size: int, length: Callable[[Any], int]) -> list[Any]:
    return [make(number) for number in range(max(2, size // length(make(1))))]


def _sse(
    name: str, provider: str, target: str, make: Callable[[int], Any], end: list[Any], size: int
) -> Stream:
    def event(value: Any) -> bytes:
        named = b"event: %b\n" % value["type"].encode() if "type" in value else b""
        return named + b"data: %b\n\n" % _text(value)

    events = [*_pieces(make, size, lambda value: len(event(value))), *end]
    body = b"".join(map(event, events)) + (b"" if "type" in end[0] else b"data: [DONE]\n\n")
    return Stream(name=name, provider=provider, target=target, body=body)


def _json(name: str, provider: str, target: str, body: bytes) -> Stream:
    headers = {"content-type": "application/json"}
    return Stream(name=name, provider=provider, target=target, body=body, headers=headers)


def _lines(
    make: Callable[[int], Any],
    end: list[Any],
    size: int,
    between: bytes = b"\n",
    indent: int | None = None,
) -> bytes:
    values = [*_pieces(make, size, lambda value: len(_text(value, indent))), *end]
    return between.join(_text(value, indent) for value in values)


def _bedrock(
    name: str, method: str, make: Callable[[int], Any], end: list[Any], size: int
) -> Stream:
    def message(value: Any) -> bytes:
        if isinstance(value, tuple):
            return event_messages.event(*value)
        return event_messages.chunks(value)

    values = [*_pieces(make, size, lambda value: len(message(value))), *end]
    target, body = f"/model/anthropic.m/{method}", b"".join(map(message, values))
    return Stream(name=name, provider="bedrock", target=target, body=body, headers=EVENTS)


def _text(value: Any, indent: int | None = None) -> bytes:
    separators = None if indent else (",", ":")
    return json.dumps(value, indent=indent, separators=separators).encode()


if __name__ == "__main__":
    main()
