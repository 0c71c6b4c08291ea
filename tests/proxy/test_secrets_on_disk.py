"""Credentials reach the provider and nothing else: no file, no output."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import Meterline, record, with_constants
from tests.support.raw import (
    LAST_CHUNK,
    FakeProvider,
    Message,
    Wire,
    answer,
    answering,
    chunk,
    connect,
    request,
)

KEY = "sk-canary-0123456789abcdef"
AWS = (
    "AWS4-HMAC-SHA256 Credential=AKIACANARYACCESS/20261101/us-east-1/bedrock/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe"
)


def hiding_places(proxy: Meterline, needle: bytes | str) -> list[str]:
    """The files of the data folder and of the output that hold it."""
    raw = needle.encode() if isinstance(needle, str) else needle
    files = [path for path in proxy.data_dir.rglob("*") if path.is_file()]
    assert any(path.suffix == ".seg" for path in files)
    return [str(path) for path in (*files, proxy.log) if raw in path.read_bytes()]


def ask(proxy: Meterline, data: bytes) -> Message:
    with connect(proxy.port) as wire:
        wire.send(data)
        return wire.answer()


@pytest.mark.parametrize(
    ("fields", "query", "canary"),
    [
        ([("Authorization", f"Bearer {KEY}")], "", KEY),
        ([("authorization", f"bearer   {KEY}")], "", KEY),
        ([("Authorization", KEY)], "", KEY),
        ([("x-api-key", KEY)], "", KEY),
        ([("api-key", KEY)], "", KEY),
        ([("x-goog-api-key", KEY)], "", KEY),
        ([("Ocp-Apim-Subscription-Key", KEY)], "", KEY),
        ([("Cookie", f"a=b; session={KEY}")], "", KEY),
        ([("X-Amz-Security-Token", KEY)], "", KEY),
        ([("Authorization", AWS)], "", "AKIACANARYACCESS"),
        ([("Authorization", AWS)], "", "fe5f80f77d5fa3beca038a248ff027d0445342fe"),
        ([("Sec-WebSocket-Protocol", f"realtime, openai-insecure-api-key.{KEY}, b")], "", KEY),
        ([], f"?key={KEY}&alt=sse", KEY),
        ([], f"?a=b&API_KEY={KEY}", KEY),
        ([], f"?%6bey={KEY}", KEY),
        ([], f"?X-Amz-Signature={KEY}", KEY),
    ],
)
def test_a_credential_that_every_part_of_an_answer_echoes_is_nowhere(
    proxy: Meterline,
    provider: FakeProvider,
    fields: list[tuple[str, str]],
    query: str,
    canary: str,
) -> None:
    text = f'{{"error":{{"message":"Incorrect API key provided: {canary}."}}}}'.encode()
    echo = [("x-request-id", f"for-{canary}"), ("Set-Cookie", f"s={canary}")]
    call = request("POST", f"/openai/v1/x{query}", fields, b'{"k":"%b"}' % canary.encode())
    for data in (
        answer(text, status=b"401 Unauthorized", fields=echo),
        answer(gzip.compress(text), status=b"401 No", fields=[("Content-Encoding", "gzip")]),
        answer(text, fields=echo),
    ):
        provider.script = answering(data)
        seen = ask(proxy, call)
        assert seen.body == data.partition(b"\r\n\r\n")[2]
        kept = proxy.record(seen.exchange_id)
        assert kept.opened is not None
        assert kept.opened.key_id is None or canary not in kept.opened.key_id
    assert canary in str(provider.requests[0])
    assert hiding_places(proxy, canary) == []


def test_equal_credentials_have_equal_ids(proxy: Meterline) -> None:
    def key_id(field: tuple[str, str]) -> str | None:
        seen = ask(proxy, request("GET", "/openai/v1/x", [field]))
        opened = proxy.record(seen.exchange_id).opened
        assert opened is not None
        return opened.key_id

    ids = [
        key_id(("Authorization", f"Bearer {KEY}")),
        key_id(("x-api-key", KEY)),
        key_id(("Authorization", f"Bearer {KEY}0")),
    ]
    assert ids[0] is not None
    assert ids[0] == ids[1] != ids[2]


def test_a_stream_that_echoes_it_in_two_pieces_at_any_place_is_clean(
    proxy: Meterline, provider: FakeProvider
) -> None:
    filler = b"x" * 70_000  # more than is held before the journal gets a part
    text = KEY.encode()

    def script(wire: Wire, seen: Message) -> None:
        cut = int(seen.target.rpartition(b"/")[2])
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(chunk(filler + text[:cut]))
        time.sleep(0.005)  # so that the pieces are read apart
        wire.send(chunk(text[cut:] + b"!") + LAST_CHUNK)

    provider.script = script
    ids = []
    for cut in range(1, len(text)):
        seen = ask(proxy, request("GET", f"/openai/v1/{cut}", [("x-api-key", KEY)]))
        assert seen.body == filler + text + b"!"
        ids.append(seen.exchange_id)
    found = proxy.entries()
    for exchange_id in ids:
        assert record(found, exchange_id).response == filler + b"*" * len(text) + b"!"
    assert hiding_places(proxy, text) == []


def test_a_secret_at_the_end_of_what_is_spilled_is_clean(
    proxy: Meterline, provider: FakeProvider
) -> None:
    """The journal gets a part while the secret is whole in memory, but near its end."""
    text = KEY.encode()

    def script(wire: Wire, seen: Message) -> None:
        behind = int(seen.target.rpartition(b"/")[2])
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(chunk(b"x" * 70_000 + text + b"y" * behind))
        time.sleep(0.005)
        wire.send(chunk(b"z" * 100) + LAST_CHUNK)

    provider.script = script
    for behind in range(len(text) + 2):
        ask(proxy, request("GET", f"/openai/v1/{behind}", [("x-api-key", KEY)]))
    assert hiding_places(proxy, text) == []


def test_a_secret_that_the_gap_of_a_capped_copy_cuts_is_clean(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy({"capture": {"max_body_bytes": 1024}})
    text = KEY.encode()
    for at in range(512 - len(text), 513):
        body = bytearray(b"-" * 2000)
        body[at : at + len(text)] = text
        body[2000 - at - len(text) : 2000 - at] = text
        provider.script = answering(answer(bytes(body)))
        ask(proxy, request("GET", "/openai/v1/x", [("x-api-key", KEY)]))
    for part in (text, text[:8], text[-8:]):
        assert hiding_places(proxy, part) == []


def test_a_slow_compressed_error_is_kept_readable_and_clean(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    text = b'{"error":{"message":"bad key ' + KEY.encode() + b'"}}'
    packed = gzip.compress(text)

    def script(wire: Wire, _: Message) -> None:
        head, mark, body = answer(
            packed, status=b"401 No", fields=[("Content-Encoding", "gzip")]
        ).partition(b"\r\n\r\n")
        wire.send(head + mark + body[:9])
        time.sleep(0.1)  # longer than the time after which a part is written
        wire.send(body[9:])

    provider.script = script

    proxy = start_proxy(command=with_constants(proxy__capture__SPILL_SECONDS=0.02))
    seen = ask(proxy, request("GET", "/openai/v1/x", [("x-api-key", KEY)]))
    assert seen.body == packed
    kept = proxy.record(seen.exchange_id)
    assert kept.response == text.replace(KEY.encode(), b"*" * len(KEY))
    assert kept.closed is not None
    assert "content-encoding" not in dict(kept.closed.headers)


@pytest.mark.parametrize(
    ("name", "header", "expected"),
    [
        ("openai", b"authorization", b"Bearer own-canary-key-987"),
        ("anthropic", b"x-api-key", b"own-canary-key-987"),
        ("gemini", b"x-goog-api-key", b"own-canary-key-987"),
        ("azure", b"api-key", b"own-canary-key-987"),
    ],
)
def test_the_proxys_own_key_goes_up_and_the_clients_stays_here(
    start_proxy: Callable[..., Meterline],
    provider: FakeProvider,
    name: str,
    header: bytes,
    expected: bytes,
) -> None:
    own = "own-canary-key-987"
    proxy = start_proxy(
        {f"providers.{name}": {"base_url": provider.url, "api_key_env": "CANARY_KEY"}},
        environment={**os.environ, "CANARY_KEY": own},
    )
    provider.script = answering(answer(f"wrong: {own}".encode(), status=b"401 No"))
    fields = [(n, KEY) for n in ("Authorization", "x-api-key", "api-key", "x-goog-api-key")]
    fields += [("Cookie", f"c={KEY}"), ("X-Kept", "1")]
    ask(proxy, request("POST", f"/{name}/v1/x?a=b&key={KEY}&c=d", fields, b"{}"))
    sent = provider.requests[0]
    assert sent.target == b"/v1/x?a=b&c=d"
    assert [n for n, _ in sent.fields] == [b"Host", b"X-Kept", header, b"Content-Length"]
    assert sent.value(header) == expected
    assert KEY not in str(sent)
    assert hiding_places(proxy, own) == []
    assert hiding_places(proxy, KEY) == []


@pytest.mark.parametrize("content", ["usage", "none"])
def test_without_content_bodies_are_nowhere(
    start_proxy: Callable[..., Meterline], provider: FakeProvider, content: str
) -> None:
    proxy = start_proxy({"capture": {"content": content}})
    body = (
        b'{"id":"c","object":"chat.completion","model":"m-1","choices":[{"index":0,"message":'
        b'{"role":"assistant","content":"whispered-answer"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
    )
    provider.script = answering(answer(body, fields=[("Content-Type", "application/json")]))
    prompt = b'{"model":"m","messages":[{"role":"user","content":"whispered-prompt"}]}'
    seen = ask(proxy, request("POST", "/openai/v1/chat/completions", body=prompt))
    assert seen.body == body
    big = b'{"messages":"' + b"whispered-prompt" * 10_000 + b'"}'
    ask(proxy, request("POST", "/openai/v1/chat/completions", body=big))
    assert hiding_places(proxy, "whispered") == []
    closed = proxy.closed(seen.exchange_id)
    assert (closed.content, closed.response_bytes) == (content, len(body))
    if content == "none":
        assert closed.facts is None
    else:
        assert closed.facts is not None
        assert closed.facts["reply"]["usage"]["input_tokens"] == 3


def test_malformed_requests_are_not_quoted_anywhere(
    proxy: Meterline, provider: FakeProvider
) -> None:
    ask(proxy, f"GET /openai/v1/x HTTP/1.1\r\nAuthorization: {KEY}\x00\r\n\r\n".encode())
    ask(proxy, f"GET /\xff?key={KEY} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    ask(proxy, request("GET", f"/nobody/?key={KEY}"))
    assert provider.requests == []
    assert hiding_places(proxy, KEY) == []


def test_files_and_folders_are_private_whatever_the_umask(
    start_proxy: Callable[..., Meterline],
) -> None:
    proxy = start_proxy(before_exec=lambda: os.umask(0) and None)
    ask(proxy, request("GET", "/openai/v1/x"))
    modes = {_mode(path) for path in proxy.data_dir.rglob("*") if path.is_file()}
    folders = [proxy.data_dir, *(path for path in proxy.data_dir.rglob("*") if path.is_dir())]
    assert modes == {0o600}
    assert {_mode(path) for path in folders} == {0o700}


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_page_of_another_site_cannot_spend_the_proxys_credential(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy(
        {"providers.openai": {"base_url": provider.url, "api_key_env": "CANARY_KEY"}},
        environment={"CANARY_KEY": "sk-canary-of-the-proxy"},
    )
    fields = [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")]
    with connect(proxy.port) as wire:
        wire.send(request("POST", "/openai/v1/chat/completions", fields, body=b"{}"))
        seen = wire.answer()
    assert seen.status == 403
    assert b"cross_site" in seen.body
    assert provider.requests == []
