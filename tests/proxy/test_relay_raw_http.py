"""Hostile requests: refused with a 400 and a close, or relayed exactly; never two for one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from tests.support.processes import Meterline, wait_for, with_constants
from tests.support.raw import (
    CHUNKED,
    LAST_CHUNK,
    FakeProvider,
    Message,
    Wire,
    answer,
    chunk,
    connect,
    request,
)

LINE = b"POST /openai/v1/x HTTP/1.1\r\n"
SMUGGLED = b"GET /openai/v1/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"


def answers(proxy: Meterline, data: bytes) -> list[Message]:
    """All answers on a connection that sends these bytes, until it ends or falls silent."""
    found = []
    with connect(proxy.port) as wire:
        wire.send(data)
        wire.sock.settimeout(0.5)
        try:
            while True:
                found.append(wire.answer())
        except Exception:  # the end, silence
            return found


def refused(proxy: Meterline, provider: FakeProvider, data: bytes) -> Message:
    """The one answer: a 400, after which the connection ends and nothing went upstream."""
    with connect(proxy.port) as wire:
        wire.send(data)
        seen = wire.answer()
        assert seen.status == 400
        assert wire.ended(5)
    assert provider.requests == []
    json.loads(seen.body)
    assert seen.values(b"Server") == []
    return seen


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + SMUGGLED,
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding: identity, chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding: gzip\r\n\r\n" + SMUGGLED,
        b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + SMUGGLED,
        b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        b"Content-Length: 2, 2\r\n\r\nhi",
        b"Content-Length: +2\r\n\r\nhi",
        b"Content-Length: -2\r\n\r\nhi",
        b"Content-Length: 0x2\r\n\r\nhi",
        b"Content-Length: 2.0\r\n\r\nhi",
        b"Content-Length:\r\n\r\nhi",
        b"Content-Length: 99999999999999999999999\r\n\r\nhi",
        b"Content-Length: \xd9\xa2\r\n\r\nhi",
        b"X-A: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"X-A: b\x00c\r\nContent-Length: 0\r\n\r\n",
        b"X-A: b\rX-B: c\r\nContent-Length: 0\r\n\r\n",
        b"X A: b\r\nContent-Length: 0\r\n\r\n",
        b": b\r\nContent-Length: 0\r\n\r\n",
        b"no-colon\r\nContent-Length: 0\r\n\r\n",
        b"Host: other\r\nContent-Length: 0\r\n\r\n",
        b"X-A: " + b"a" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"X-A: a\r\n" * 300 + b"Content-Length: 0\r\n\r\n",
    ],
)
def test_ambiguous_heads_are_refused(proxy: Meterline, provider: FakeProvider, data: bytes) -> None:
    refused(proxy, provider, LINE + b"Host: h\r\n" + data)


@pytest.mark.parametrize(
    "data",
    [
        b"POST /openai/v1/x\r\n\r\n",
        b"POST /openai/v1/x HTTP/9.9\r\nHost: h\r\n\r\n",
        b"POST /openai/v1/x y HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /openai/v1/\x00 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /openai/v1/\xff HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /openai/v1/x HTTP/1.1\r\n\r\n",
        b"NONSENSE /openai/v1/x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /openai/" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST http://127.0.0.1:1/v1/x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET https://evil.test/openai/v1/x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_targets_and_lines_that_are_not_ours_are_refused(
    proxy: Meterline, provider: FakeProvider, data: bytes
) -> None:
    refused(proxy, provider, data)


@pytest.mark.parametrize(
    "data",
    [b"POST /openai/v1/x HTTP/1.1\nHost: h\n\n", LINE + b"Host: h\nContent-Length: 0\r\n\r\n"],
)
def test_bare_line_feeds_make_at_most_one_request(
    proxy: Meterline, provider: FakeProvider, data: bytes
) -> None:
    before = len(proxy.opened_ids())
    seen = answers(proxy, data)
    assert len(seen) == 1
    assert len(provider.requests) == len(proxy.opened_ids()) - before <= 1


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello\r\nzz\r\n",
        b"5\r\nhelloX0\r\n\r\n",
        b"-1\r\nx\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nx",
        b"5\nhello\n0\n\n",
    ],
)
def test_broken_chunks_end_the_connection_and_the_exchange(
    proxy: Meterline, provider: FakeProvider, body: bytes
) -> None:
    def script(wire: Wire, _: Message) -> None:
        while wire.chunk():
            pass
        wire.send(answer(b"believed it"))

    provider.script_head = script
    before, ended = len(proxy.opened_ids()), len(proxy.closed_entries())
    data = LINE + b"Host: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body + SMUGGLED
    with connect(proxy.port) as wire:
        wire.send(data)
        assert wire.answer().status == 400
        assert wire.ended(5)
    assert len(provider.requests) <= len(proxy.opened_ids()) - before <= 1
    assert {closed.outcome for closed in proxy.closed_entries()[ended:]} <= {"refused"}


def test_a_body_that_breaks_after_its_beginning_is_refused_at_once(
    proxy: Meterline, provider: FakeProvider
) -> None:
    def script(wire: Wire, _: Message) -> None:
        while wire.chunk():
            pass

    provider.script_head = script
    with connect(proxy.port) as wire:
        wire.send(LINE + b"Host: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"fine"))
        wait_for(lambda: provider.requests, "the upload to begin")
        wire.send(b"zz\r\n")
        seen = wire.answer()
        assert (seen.status, json.loads(seen.body)["error"]["code"]) == (400, "bad_body")
        assert wire.ended(5)
    closed = proxy.closed(seen.exchange_id)
    assert (closed.outcome, closed.error_type) == ("refused", "bad_body")


def test_a_body_that_breaks_amid_the_answer_cuts_it(
    proxy: Meterline, provider: FakeProvider
) -> None:
    def script(wire: Wire, _: Message) -> None:
        wire.send(CHUNKED + chunk(b"early"))
        wire.ended(5)

    provider.script_head = script
    with connect(proxy.port) as wire:
        wire.send(LINE + b"Host: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"fine"))
        head = wire.head()
        assert wire.chunk() == b"early"
        wire.send(b"zz\r\n")
        assert LAST_CHUNK not in wire.rest()
    assert proxy.closed(head.exchange_id).outcome in ("upstream_failed", "refused")


@pytest.mark.parametrize(
    "name",
    ["authorization", "X-Api-Key", "cookie", "host", "content-length", "Content-Type, x-hop"],
)
def test_connection_must_not_name_what_matters(
    proxy: Meterline, provider: FakeProvider, name: str
) -> None:
    fields = [("Connection", f"close, {name}"), ("Authorization", "Bearer sk-canary-123")]
    seen = refused(proxy, provider, request("POST", "/openai/v1/x", fields, b"{}"))
    assert json.loads(seen.body)["error"]["code"] == "bad_headers"
    closed = proxy.closed(seen.exchange_id)
    assert (closed.outcome, closed.status) == ("refused", 400)


@pytest.mark.parametrize(
    "target",
    ["/v1/../../secret", "/..", "/v1/%2e%2e/x", "/v1/%2E./x", "/v1/..%2fx", "/v1/..\\x", "/..?a=b"],
)
def test_climbing_out_of_a_base_urls_prefix_is_refused(
    proxy: Meterline, provider: FakeProvider, target: str
) -> None:
    seen = refused(proxy, provider, request("GET", f"/behind{target}"))
    assert json.loads(seen.body)["error"]["code"] == "bad_target"


@pytest.mark.parametrize(
    "target", ["//evil.test/v1/x", "/@evil.test/v1", "/openai%2Fv1", "/%2e%2e/-/health"]
)
def test_odd_targets_lead_nowhere(proxy: Meterline, provider: FakeProvider, target: str) -> None:
    (seen,) = answers(proxy, request("GET", target))
    assert seen.status == 404
    assert provider.requests == []
    assert proxy.closed(seen.exchange_id).outcome == "refused"


@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test/?x", "a@b", "", "127.0.0.1:1", "[::1", "h\tx"]
)
def test_the_host_field_chooses_nothing(
    proxy: Meterline, provider: FakeProvider, host: str
) -> None:
    data = f"GET /openai/v1/x HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: e\r\n\r\n".encode()
    (seen,) = answers(proxy, data)
    if seen.status == 200:
        expected = provider.url.removeprefix("http://").encode()
        assert provider.requests[0].value(b"Host") == expected
    else:
        assert (seen.status, provider.requests) == (400, [])


def test_a_malformed_request_behind_a_good_one_ends_the_connection(
    proxy: Meterline, provider: FakeProvider
) -> None:
    seen = answers(proxy, request("POST", "/openai/v1/x", body=b"{}") + b"rubbish\r\n\r\n")
    assert seen[-1].status == 400
    assert len(provider.requests) == len(seen) - 1


def test_a_head_in_single_bytes_is_one_request(proxy: Meterline, provider: FakeProvider) -> None:
    with connect(proxy.port) as wire:
        for byte in request("POST", "/openai/v1/x", body=b"{}"):
            wire.send(bytes([byte]))
        assert wire.answer().status == 200
    assert len(provider.requests) == 1


def test_every_request_that_the_provider_saw_has_a_record(
    proxy: Meterline, provider: FakeProvider
) -> None:
    before = len(proxy.opened_ids())
    for data in (
        LINE + b"Host: h\r\nContent-Length: 44\r\n\r\n" + SMUGGLED * 2,
        LINE + b"Host: h\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
        LINE + b"Host: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        LINE + b"Host: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"GET /openai/v1/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"GET /openai/v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 44\r\n\r\n" + SMUGGLED,
        b"HEAD /openai/v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 44\r\n\r\n" + SMUGGLED,
    ):
        answers(proxy, data)
    assert 0 < len(provider.requests) <= len(proxy.opened_ids()) - before


def test_transfer_codings_that_would_be_lost_are_refused(
    proxy: Meterline, provider: FakeProvider
) -> None:
    data = LINE + b"Host: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + chunk(b"x") + LAST_CHUNK
    refused(proxy, provider, data)


@pytest.mark.parametrize("sent", [b"", b"POST /openai/v1/x HT", LINE + b"Host: h\r\nX-Slow: "])
def test_a_head_that_never_ends_times_out(
    start_proxy: Callable[..., Meterline], sent: bytes
) -> None:
    proxy = start_proxy(command=with_constants(proxy__server__IDLE_SECONDS=0.5))
    with connect(proxy.port) as wire:
        wire.send(sent)
        assert wire.ended(5)
    with connect(proxy.port) as wire:  # and behind an answer
        wire.send(request("GET", "/openai/v1/x"))
        wire.answer()
        wire.send(sent)
        assert wire.ended(5)


def test_a_body_that_never_ends_times_out(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy(command=with_constants(proxy__request_body__BODY_SILENCE_SECONDS=0.3))
    with connect(proxy.port) as wire:
        wire.send(LINE + b"Host: h\r\nContent-Length: 10\r\n\r\nhalf")
        seen = wire.answer()
        assert (seen.status, provider.requests) == (408, [])
    assert proxy.closed(seen.exchange_id).error_type == "body_timeout"


def test_a_flood_of_pipelined_requests_is_bounded(proxy: Meterline, provider: FakeProvider) -> None:
    """While one is answered, those behind it wait in the client's socket, not in memory."""
    go = threading.Event()

    def script(wire: Wire, seen: Message) -> None:
        assert go.wait(10)
        wire.send(answer(seen.target))

    provider.script = script
    flood = b"".join(request("GET", f"/openai/{n}", [("X", "y" * 900)]) for n in range(10_000))
    before = proxy.rss_bytes()
    with connect(proxy.port) as wire:
        wire.sock.settimeout(0.5)
        sent = 0
        try:
            while sent < len(flood):
                sent += wire.sock.send(flood[sent : sent + 65536])
        except TimeoutError:
            pass
        assert sent < len(flood)
        assert proxy.rss_bytes() - before < 8 << 20
        go.set()
        wire.sock.settimeout(10)
        assert [wire.answer().body for _ in range(500)] == [b"/%d" % n for n in range(500)]
