"""Asking for a stream's usage, and hiding the answer from the client that did not ask."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.stream_usage import UsageFilter, ask
from tests.support.processes import Meterline
from tests.support.raw import FakeProvider, Message, Wire, chunk, connect, request

CHAT = "/v1/chat/completions"
STREAM = b'{"model": "gpt-4o-mini", "stream": true, "messages": []}'
ASKED_FOR = (
    b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"Hi"}}],"usage":null}\n\n',
    b'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}], "usage" : null }'
    b"\r\n\r\n",
    b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}\n\n',
    b"data: [DONE]\n\n",
)
WITHOUT = (
    b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
    b'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}] }\r\n\r\n'
    b"data: [DONE]\n\n"
)


def test_the_question_leaves_all_other_bytes_as_they_came() -> None:
    asked = ask(CHAT, STREAM)
    assert asked == b'{"stream_options":{"include_usage":true},' + STREAM[1:]
    assert orjson.loads(asked)["stream_options"] == {"include_usage": True}


def test_other_stream_options_stay() -> None:
    asked = ask(CHAT, b'{"stream":true,"stream_options":{"include_obfuscation":false}}')
    assert asked is not None
    assert orjson.loads(asked)["stream_options"] == {
        "include_obfuscation": False,
        "include_usage": True,
    }


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/v1/responses", STREAM),
        (CHAT, b'{"stream":false}'),
        (CHAT, b'{"stream":true,"stream_options":{"include_usage":false}}'),
        (CHAT, b'{"stream":true,"stream_options":{"include_usage":true}}'),
        (CHAT, b'{"stream":true,"stream_options":7}'),
        (CHAT, b"[1]"),
        (CHAT, b"{not json"),
        (CHAT, b""),
    ],
)
def test_nothing_is_asked_where_it_is_not_needed_or_not_understood(
    target: str, body: bytes
) -> None:
    assert ask(target, body) is None


@given(st.lists(st.integers(0, sum(map(len, ASKED_FOR))), max_size=8))
def test_the_client_sees_what_it_asked_for_however_the_stream_is_cut(cuts: list[int]) -> None:
    stream = b"".join(ASKED_FOR)
    edges = [0, *sorted(cuts), len(stream)]
    hide = UsageFilter()
    shown = [hide.feed(stream[a:b]) for a, b in pairwise(edges)]
    assert b"".join(shown) + hide.finish() == WITHOUT


def test_through_the_proxy_the_row_has_the_usage_and_the_client_does_not(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy(
        {"providers.openai": {"base_url": provider.url, "inject_stream_usage": True}}
    )

    def script(wire: Wire, _: Message) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        wire.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for event in ASKED_FOR:
            wire.send(chunk(event))
        wire.send(b"0\r\n\r\n")

    provider.script = script
    with connect(proxy.port) as wire:
        fields = [("Content-Type", "application/json"), ("Accept-Encoding", "gzip")]
        wire.send(request("POST", f"/openai{CHAT}", fields, body=STREAM))
        seen = wire.answer()
    assert seen.body == WITHOUT
    (asked,) = provider.requests
    assert asked.body == ask(CHAT, STREAM)
    assert "accept-encoding" not in {name.lower().decode() for name, _ in asked.fields}
    record = proxy.record(seen.exchange_id)
    assert record.request == asked.body
    assert record.response == b"".join(ASKED_FOR)
    assert record.closed is not None
    assert [decision.policy for decision in record.closed.decisions] == ["stream_usage"]
