"""Bytes through: what either side sends reaches the other as it was sent."""

from __future__ import annotations

import gzip
import threading

import pytest

from tests.support.processes import Meterline
from tests.support.raw import (
    CHUNKED,
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


def ask(proxy: Meterline, data: bytes, method: str = "GET") -> Message:
    with connect(proxy.port) as wire:
        wire.send(data)
        return wire.answer(method)


@pytest.mark.parametrize(
    "target",
    [
        "/v1/models/anthropic.claude-v2%3A0/converse",
        "/v1/x?$alt=sse&%24alt=json",
        "//v1//chat//completions",
        "/v1/models?",
        "/v1/models??a=1?",
        "/v1/a%2Fb%2e%2E/%zz",
        "/v1/a/../b/./c",
        "/v1/spaces+and%20more;p=1,2@3",
        "/v1/query?x=[1]{2}|\"'<>",
        "/http://elsewhere.test/v1",
        "/",
    ],
)
def test_the_target_reaches_the_provider_in_its_own_bytes(
    proxy: Meterline, provider: FakeProvider, target: str
) -> None:
    assert ask(proxy, request("GET", f"/openai{target}")).status == 200
    assert provider.requests[0].target == target.encode()


def test_a_prefix_of_the_base_url_goes_before_the_target(
    proxy: Meterline, provider: FakeProvider
) -> None:
    ask(proxy, request("GET", "/behind/v1/m%3A0?a=b"))
    assert provider.requests[0].target == b"/some/prefix/v1/m%3A0?a=b"


def test_request_fields_keep_case_order_repetition_and_bytes(
    proxy: Meterline, provider: FakeProvider
) -> None:
    raw = (
        b"POST /openai/v1/x HTTP/1.1\r\nHost: h\r\nX-MiXeD: 1\r\nx-mixed: 2\r\n"
        b"X-Latin: caf\xe9\r\nX-Utf8: caf\xc3\xa9\r\nX-Empty:\r\nAccept-Encoding: gzip, br\r\n"
        b"anthropic-beta: a\r\nOpenAI-Beta: b\r\nIdempotency-Key: k\r\nCookie: c=d\r\n"
        b"User-Agent: own\r\nContent-Length: 2\r\n\r\nhi"
    )
    ask(proxy, raw)
    seen = provider.requests[0]
    assert seen.body == b"hi"
    assert [field for field in seen.fields if field[0] not in (b"Host", b"Content-Length")] == [
        (b"X-MiXeD", b"1"),
        (b"x-mixed", b"2"),
        (b"X-Latin", b"caf\xe9"),
        (b"X-Utf8", b"caf\xc3\xa9"),
        (b"X-Empty", b""),
        (b"Accept-Encoding", b"gzip, br"),
        (b"anthropic-beta", b"a"),
        (b"OpenAI-Beta", b"b"),
        (b"Idempotency-Key", b"k"),
        (b"Cookie", b"c=d"),
        (b"User-Agent", b"own"),
    ]
    assert seen.value(b"Host") == provider.url.removeprefix("http://").encode()
    assert seen.values(b"Content-Length") == [b"2"]


def test_nothing_is_added_to_a_bare_request(proxy: Meterline, provider: FakeProvider) -> None:
    ask(proxy, b"GET /openai/v1/x HTTP/1.1\r\nHost: h\r\n\r\n")
    assert [name for name, _ in provider.requests[0].fields] == [b"Host"]


def test_fields_for_this_hop_stay_here(proxy: Meterline, provider: FakeProvider) -> None:
    fields = [
        ("Connection", "X-Hop, keep-alive"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Upgrade", "h2c"),
        ("Proxy-Authorization", "Basic x"),
        ("Proxy-Connection", "keep-alive"),
        ("X-End", "2"),
    ]
    ask(proxy, request("GET", "/openai/v1/x", fields))
    assert [name for name, _ in provider.requests[0].fields] == [b"Host", b"X-End"]


def test_control_fields_become_labels_and_stay_here(
    proxy: Meterline, provider: FakeProvider
) -> None:
    fields = [
        ("Meterline-Feature", "chat"),
        ("Meterline-Tag-Team", "blue"),
        ("Helicone-User-Id", "ana"),
        ("x-portkey-metadata", '{"_user":"bo","plan":"pro"}'),
        ("cf-aig-metadata", '{"n":3}'),
        ("x-litellm-tags", "a,b"),
        ("traceparent", f"00-{'a' * 32}-{'b' * 16}-01"),
        ("x-claude-code-session-id", "s-1"),
    ]
    seen = ask(proxy, request("GET", "/with/environment=test,feature=lost/openai/v1/x", fields))
    names = [name for name, _ in provider.requests[0].fields]
    assert names == [b"Host", b"traceparent", b"x-claude-code-session-id"]
    assert provider.requests[0].target == b"/v1/x"
    opened = proxy.record(seen.exchange_id).opened
    assert opened is not None
    assert opened.labels == {
        "feature": "chat",
        "tags.team": "blue",
        "environment": "test",
        "user_id": "ana",
        "tags.plan": "pro",
        "tags.n": "3",
        "tags.a": "true",
        "tags.b": "true",
        "session_id": "s-1",
    }
    assert (opened.trace_id, opened.parent_span_id) == ("a" * 32, "b" * 16)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], "openai"),
        ([("anthropic-version", "2023-06-01")], "anthropic"),
        ([("x-goog-api-key", "canary-goog")], "gemini"),
    ],
)
def test_a_bare_v1_goes_to_the_provider_whose_sdk_asks(
    proxy: Meterline, provider: FakeProvider, fields: list[tuple[str, str]], expected: str
) -> None:
    seen = ask(proxy, request("GET", "/v1/models", fields))
    opened = proxy.record(seen.exchange_id).opened
    assert opened is not None
    assert (opened.provider, provider.requests[0].target) == (expected, b"/v1/models")


def test_the_answer_has_its_own_fields_and_the_exchange_id_alone(
    proxy: Meterline, provider: FakeProvider
) -> None:
    provider.script = answering(
        b"HTTP/1.1 218 This Is Fine\xe9\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n"
        b"X-Latin: caf\xe9\r\nServer: theirs\r\nmeterline-exchange-id: forged\r\n"
        b"Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\nX-Empty:\r\n"
        b"Content-Length: 4\r\n\r\nbody"
    )
    seen = ask(proxy, request("GET", "/openai/v1/x"))
    assert (seen.start, seen.body) == (b"HTTP/1.1 218 This Is Fine\xe9", b"body")
    assert seen.fields[:5] == [
        (b"Set-Cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"X-Latin", b"caf\xe9"),
        (b"Server", b"theirs"),
        (b"X-Empty", b""),
    ]
    assert [name for name, _ in seen.fields[5:]] == [b"meterline-exchange-id", b"Content-Length"]
    assert proxy.closed(seen.exchange_id).status == 218


def test_an_empty_reason_stays_empty(proxy: Meterline, provider: FakeProvider) -> None:
    provider.script = answering(b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")
    assert ask(proxy, request("GET", "/openai/v1/x")).start == b"HTTP/1.1 200 "


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "POST"])
def test_any_method_goes_through_with_its_body(
    proxy: Meterline, provider: FakeProvider, method: str
) -> None:
    body = bytes(range(256)) * 9
    assert ask(proxy, request(method, "/openai/v1/x", body=body), method).status == 200
    seen = provider.requests[0]
    assert (seen.start, seen.body) == (f"{method} /v1/x HTTP/1.1".encode(), body)


def test_head_has_the_length_and_no_body(proxy: Meterline, provider: FakeProvider) -> None:
    provider.script = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
    with connect(proxy.port) as wire:
        for _ in range(2):  # the second shows that the connections stayed in step
            wire.send(request("HEAD", "/openai/v1/x"))
            seen = wire.answer("HEAD")
            assert seen.value(b"Content-Length") == b"999"
    assert len(provider.wires) == 1


@pytest.mark.parametrize(
    "start", [b"204 No Content", b"304 Not Modified", b"302 Found", b"202 Accepted", b"205 Reset"]
)
def test_answers_without_a_body_are_followed_by_others_on_the_same_connections(
    proxy: Meterline, provider: FakeProvider, start: bytes
) -> None:
    length = b"" if start[:3] in (b"204", b"304") else b"Content-Length: 0\r\n"
    head = b"HTTP/1.1 " + start + b"\r\nLocation: http://127.0.0.1:1/secret\r\n" + length
    provider.script = answering(head + b"\r\n")
    with connect(proxy.port) as wire:
        for _ in range(3):
            wire.send(request("GET", "/openai/v1/x"))
            seen = wire.answer()
            assert seen.start == b"HTTP/1.1 " + start
            assert seen.value(b"Location") == b"http://127.0.0.1:1/secret"
    assert (len(provider.wires), len(provider.requests)) == (1, 3)


def test_a_304_with_a_length_keeps_it(proxy: Meterline, provider: FakeProvider) -> None:
    provider.script = answering(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 55\r\n\r\n")
    with connect(proxy.port) as wire:
        for _ in range(2):
            wire.send(request("GET", "/openai/v1/x"))
            assert wire.answer().value(b"Content-Length") == b"55"


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "identity", "made-up"])
def test_compressed_bodies_pass_as_they_are(
    proxy: Meterline, provider: FakeProvider, coding: str
) -> None:
    body = gzip.compress(b"never touched") + b"\x00\xff"
    provider.script = answering(answer(body, fields=[("Content-Encoding", coding)]))
    sent = request("POST", "/openai/v1/x", [("Content-Encoding", coding)], body)
    seen = ask(proxy, sent)
    assert (seen.body, seen.value(b"Content-Encoding")) == (body, coding.encode())
    assert provider.requests[0].body == body
    kept = proxy.record(seen.exchange_id)
    assert (kept.request, kept.response) == (body, body)


def test_chunks_reach_the_client_before_the_provider_sends_the_next(
    proxy: Meterline, provider: FakeProvider
) -> None:
    seen_by_client = threading.Event()

    def script(wire: Wire, _: Message) -> None:
        wire.send(CHUNKED)
        for number in range(5):
            wire.send(chunk(b"data: %d\n\n" % number))
            assert seen_by_client.wait(5)
            seen_by_client.clear()
        wire.send(LAST_CHUNK)

    provider.script = script
    with connect(proxy.port) as wire:
        wire.send(request("POST", "/openai/v1/x", body=b"{}"))
        assert wire.head().value(b"Transfer-Encoding") == b"chunked"
        for number in range(5):
            assert wire.chunk() == b"data: %d\n\n" % number
            seen_by_client.set()
        assert wire.chunk() == b""


def test_the_head_reaches_the_client_before_the_first_chunk(
    proxy: Meterline, provider: FakeProvider
) -> None:
    seen_by_client = threading.Event()

    def script(wire: Wire, _: Message) -> None:
        wire.send(CHUNKED)
        assert seen_by_client.wait(5)
        wire.send(chunk(b"x") + LAST_CHUNK)

    provider.script = script
    with connect(proxy.port) as wire:
        wire.send(request("GET", "/openai/v1/x"))
        assert wire.head().status == 200
        seen_by_client.set()
        assert (wire.chunk(), wire.chunk()) == (b"x", b"")


@pytest.mark.parametrize("length", [None, 3 << 20])
def test_the_provider_sees_an_upload_before_the_client_has_sent_all(
    proxy: Meterline, provider: FakeProvider, length: int | None
) -> None:
    first_seen = threading.Event()
    size = length or 2 << 20
    got: list[bytes] = []

    def script(wire: Wire, _: Message) -> None:
        got.append(wire.chunk() if length is None else wire.exactly(10))
        first_seen.set()
        if length is None:
            got.extend(iter(wire.chunk, b""))
        else:
            got.append(wire.exactly(size - 10))
        wire.send(answer(b"done"))

    provider.script_head = script
    body = bytes(i % 251 for i in range(size))
    framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % size
    with connect(proxy.port) as wire:
        wire.send(b"POST /openai/v1/x HTTP/1.1\r\nHost: h\r\n" + framing + b"\r\n\r\n")
        wire.send(chunk(body[:10]) if length is None else body[:10])
        assert first_seen.wait(5)
        rest = body[10:]
        wire.send(chunk(rest) + LAST_CHUNK if length is None else rest)
        seen = wire.answer()
    assert (seen.body, b"".join(got)) == (b"done", body)
    assert proxy.closed(seen.exchange_id).request_bytes == size


def test_an_upload_and_an_answer_may_run_side_by_side(
    proxy: Meterline, provider: FakeProvider
) -> None:
    def script(wire: Wire, _: Message) -> None:
        wire.send(CHUNKED)
        while piece := wire.chunk():
            wire.send(chunk(b"echo " + piece))
        wire.send(LAST_CHUNK)

    provider.script_head = script
    with connect(proxy.port) as wire:
        wire.send(b"POST /openai/v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(chunk(b"1"))
        assert wire.head().status == 200
        for number in (b"1", b"2", b"3"):
            assert wire.chunk() == b"echo " + number
            wire.send(LAST_CHUNK if number == b"3" else chunk(b"%d" % (int(number) + 1)))
        assert wire.chunk() == b""


def test_an_informational_answer_is_not_the_answer(
    proxy: Meterline, provider: FakeProvider
) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    provider.script = answering(early + answer(b"the answer"))
    with connect(proxy.port) as wire:
        for _ in range(2):
            wire.send(request("GET", "/openai/v1/x"))
            assert wire.answer().body == b"the answer"
    assert len(provider.wires) == 1


def test_a_client_that_expects_continue_gets_it(proxy: Meterline, provider: FakeProvider) -> None:
    with connect(proxy.port) as wire:
        wire.send(
            b"POST /openai/v1/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
            b"Content-Length: 5\r\n\r\n"
        )
        assert wire.answer().start == b"HTTP/1.1 100 Continue"
        wire.send(b"hello")
        assert wire.answer().status == 200
    seen = provider.requests[0]
    assert (seen.body, seen.values(b"Expect")) == (b"hello", [])


def test_trailers_leave_the_connections_in_step(proxy: Meterline, provider: FakeProvider) -> None:
    provider.script = answering(
        CHUNKED.replace(b"\r\n\r\n", b"\r\nTrailer: X-Sum\r\n\r\n")
        + chunk(b"body")
        + b"0\r\nX-Sum: 1\r\nmeterline-exchange-id: x\r\n\r\n"
    )
    with connect(proxy.port) as wire:
        for _ in range(3):
            wire.send(request("GET", "/openai/v1/x"))
            seen = wire.answer()
            assert (seen.body, len(seen.values(b"X-Sum"))) == (b"body", 0)


def test_trailers_of_a_request_never_become_fields_of_the_next(
    proxy: Meterline, provider: FakeProvider
) -> None:
    first = (
        b"POST /openai/v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunk(b"body")
        + b"0\r\nAuthorization: Bearer of-another\r\n\r\n"
    )
    with connect(proxy.port) as wire:
        wire.send(first + request("GET", "/openai/v1/next"))
        assert wire.answer().value(b"Connection") == b"close"
        assert wire.rest() == b""
    assert [seen.body for seen in provider.requests] == [b"body"]


def test_an_http_1_0_client_gets_what_it_understands(
    proxy: Meterline, provider: FakeProvider
) -> None:
    provider.script = answering(CHUNKED + chunk(b"by ") + chunk(b"pieces") + LAST_CHUNK)
    with connect(proxy.port) as wire:
        wire.send(b"GET /openai/v1/x HTTP/1.0\r\n\r\n")
        seen = wire.answer()
        assert seen.start == b"HTTP/1.0 200 OK"
        assert (seen.body, seen.values(b"Transfer-Encoding")) == (b"by pieces", [])


def test_an_http_1_0_client_may_keep_its_connection(
    proxy: Meterline, provider: FakeProvider
) -> None:
    with connect(proxy.port) as wire:
        for _ in range(2):
            wire.send(b"GET /openai/v1/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert wire.answer().value(b"Connection") == b"keep-alive"
    assert len(provider.requests) == 2


def test_a_client_that_wants_to_close_is_obeyed(proxy: Meterline, provider: FakeProvider) -> None:
    with connect(proxy.port) as wire:
        wire.send(request("GET", "/openai/v1/x", [("Connection", "close")]))
        assert wire.answer().value(b"Connection") == b"close"
        assert wire.ended(2)
    assert provider.requests[0].values(b"Connection") == []


@pytest.mark.parametrize(
    "data",
    [
        answer(b"whole", fields=[("Connection", "close")]),
        b"HTTP/1.0 200 OK\r\n\r\nwhole",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole",
    ],
)
def test_a_provider_that_closes_leaves_the_client_connected(
    proxy: Meterline, provider: FakeProvider, data: bytes
) -> None:
    def script(wire: Wire, _: Message) -> None:
        wire.send(data)
        wire.close()

    provider.script = script
    with connect(proxy.port) as wire:
        for _ in range(2):
            wire.send(request("GET", "/openai/v1/x"))
            assert wire.answer().body == b"whole"
    assert len(provider.wires) == 2


def test_pipelined_requests_are_answered_in_order(proxy: Meterline, provider: FakeProvider) -> None:
    provider.script = lambda wire, seen: wire.send(answer(seen.target))
    with connect(proxy.port) as wire:
        wire.send(b"".join(request("GET", f"/openai/{n}") for n in range(100)))
        assert [wire.answer().body for _ in range(100)] == [b"/%d" % n for n in range(100)]


def test_sse_keeps_comments_line_ends_and_a_missing_last_blank_line(
    proxy: Meterline, provider: FakeProvider
) -> None:
    stream = b": PROCESSING\n\ndata: a\r\n\r\nevent: x\rdata: b\r\rdata: [DONE]"
    provider.script = answering(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(chunk(stream[i : i + 1]) for i in range(len(stream)))
        + LAST_CHUNK
    )
    seen = ask(proxy, request("POST", "/openai/v1/x", body=b"{}"))
    assert seen.body == stream
    kept = proxy.record(seen.exchange_id)
    assert kept.response == stream
    assert kept.closed is not None
    assert (kept.closed.outcome, kept.closed.response_bytes) == ("completed", len(stream))


def test_a_provider_error_is_relayed_and_named(proxy: Meterline, provider: FakeProvider) -> None:
    fields = [("Retry-After", "7"), ("x-should-retry", "true")]
    provider.script = answering(answer(b'{"error":1}', status=b"429 Slow Down", fields=fields))
    seen = ask(proxy, request("POST", "/openai/v1/x", body=b"{}"))
    assert (seen.start, seen.body) == (b"HTTP/1.1 429 Slow Down", b'{"error":1}')
    assert seen.value(b"Retry-After") == b"7"
    closed = proxy.closed(seen.exchange_id)
    assert (closed.outcome, closed.status) == ("provider_error", 429)
    assert ("retry-after", "7") in [tuple(pair) for pair in closed.headers]


def test_own_pages_are_never_relayed(proxy: Meterline, provider: FakeProvider) -> None:
    assert proxy.page("/-/ready") == b"ready\n"
    assert proxy.health()["status"] in ("ok", "losing")
    assert b"meterline_exchanges_in_flight" in proxy.page("/-/metrics")
    assert ask(proxy, request("GET", "/-/nothing")).status == 404
    assert provider.requests == []
