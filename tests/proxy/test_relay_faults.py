"""Faults of either side: a clear error before the first byte, a visible truncation after it."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress

import pytest

from tests.support.processes import Meterline, wait_for
from tests.support.raw import (
    CHUNKED,
    LAST_CHUNK,
    Ended,
    FakeProvider,
    Message,
    Wire,
    answer,
    answering,
    chunk,
    connect,
    request,
)

FRAMINGS = ("chunked", "length")
CALL = request("POST", "/openai/v1/chat/completions", body=b"{}")


def ask(proxy: Meterline, data: bytes = CALL) -> Message:
    with connect(proxy.port) as wire:
        wire.send(data)
        return wire.answer()


def hang_up(wire: Wire, _: Message) -> None:
    wire.reset()


@pytest.mark.parametrize(
    ("name", "status", "error_type", "words"),
    [
        ("refusing", 502, "connect_failed", "cannot connect to refusing (127.0.0.1:1)"),
        ("nameless", 502, "dns_failed", "cannot be resolved"),
    ],
)
def test_an_unreachable_provider_is_told_in_the_clients_dialect(
    proxy: Meterline, name: str, status: int, error_type: str, words: str
) -> None:
    seen = ask(proxy, request("POST", f"/{name}/v1/chat/completions", body=b"{}"))
    error = json.loads(seen.body)["error"]
    assert (seen.status, error["code"]) == (status, error_type)
    assert words in error["message"]
    anthropic = json.loads(ask(proxy, request("POST", f"/{name}/v1/messages", body=b"{}")).body)
    assert (anthropic["type"], anthropic["error"]["type"]) == ("error", "api_error")
    target = f"/{name}/v1beta/models/m:generateContent"
    google = json.loads(ask(proxy, request("POST", target, body=b"{}")).body)
    assert (google["error"]["code"], google["error"]["status"]) == (status, "UNAVAILABLE")
    closed = proxy.closed(seen.exchange_id)
    assert (closed.outcome, closed.error_type, closed.status) == (
        "upstream_failed",
        error_type,
        None,
    )
    assert [made.error_type for made in closed.attempts] == [error_type]


def test_a_provider_that_never_answers_times_out(proxy: Meterline, provider: FakeProvider) -> None:
    hung_up = threading.Event()

    def script(wire: Wire, _: Message) -> None:
        if wire.ended(5):
            hung_up.set()

    provider.script = script
    seen = ask(proxy)
    assert (seen.status, json.loads(seen.body)["error"]["code"]) == (504, "read_timeout")
    closed = proxy.closed(seen.exchange_id)
    assert (closed.outcome, closed.error_type) == ("timed_out", "read_timeout")
    assert hung_up.wait(1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * (1 << 20) + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 1000 + b"Content-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: a\rX-B: b\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
    ids=[
        "nothing",
        "half-head",
        "no-http",
        "bad-status",
        "long-status",
        "nul",
        "1MB-field",
        "1000-fields",
        "negative-length",
        "two-lengths",
        "list-length",
        "length-and-chunked",
        "bad-chunk",
        "bare-cr",
        "unasked-101",
        "tls",
    ],
)
def test_an_answer_that_is_no_http_is_a_502(
    proxy: Meterline, provider: FakeProvider, data: bytes
) -> None:
    def script(wire: Wire, _: Message) -> None:
        wire.send(data)
        wire.close()

    provider.script = script
    seen = ask(proxy)
    assert seen.status == 502
    assert json.loads(seen.body)["error"]["code"] in ("bad_answer", "cut_off")
    closed = proxy.closed(seen.exchange_id)
    assert (closed.outcome, closed.status) == ("upstream_failed", None)
    provider.script = answering(answer(b"fresh"))
    assert ask(proxy).body == b"fresh"
    assert len(provider.wires) == 2


def test_a_reset_before_the_answer_is_a_502(proxy: Meterline, provider: FakeProvider) -> None:
    provider.script = hang_up
    seen = ask(proxy)
    assert (seen.status, json.loads(seen.body)["error"]["code"]) == (502, "cut_off")


@pytest.mark.parametrize(
    ("how", "framing"),
    [
        *((how, framing) for how in ("reset", "close", "silent") for framing in FRAMINGS),
        ("bad_chunk", "chunked"),
    ],
)
def test_an_answer_that_breaks_off_is_cut_visibly(
    proxy: Meterline, provider: FakeProvider, how: str, framing: str
) -> None:
    got_first = threading.Event()
    head = CHUNKED if framing == "chunked" else b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    first = chunk(b"data: first\n\n") if framing == "chunked" else b"data: first\n\n"

    def script(wire: Wire, _: Message) -> None:
        wire.send(head + first)
        assert got_first.wait(5)
        if how == "reset":
            wire.reset()
        elif how == "close":
            wire.close()
        elif how == "bad_chunk":
            wire.send(b"xyz\r\n")
            wire.close()
        else:
            wire.ended(5)

    provider.script = script
    with connect(proxy.port) as wire:
        wire.send(CALL)
        seen = wire.head()
        got = wire.chunk() if framing == "chunked" else wire.exactly(13)
        assert got == b"data: first\n\n"
        got_first.set()
        with pytest.raises(Ended):
            wire.body(seen, until_close=False)
    kept = proxy.record(seen.exchange_id)
    assert kept.response == b"data: first\n\n"
    assert kept.closed is not None
    expected = "timed_out" if how == "silent" else "upstream_failed"
    assert (kept.closed.outcome, kept.closed.status) == (expected, 200)
    assert kept.closed.error_type is not None
    provider.script = answering(answer(b"fresh"))
    assert ask(proxy).body == b"fresh"
    assert len(provider.wires) == 2


def test_an_http_1_0_client_sees_a_truncation_too(proxy: Meterline, provider: FakeProvider) -> None:
    got_first = threading.Event()

    def script(wire: Wire, _: Message) -> None:
        wire.send(CHUNKED + chunk(b"first"))
        assert got_first.wait(5)
        wire.close()

    provider.script = script
    with connect(proxy.port) as wire:
        wire.send(b"GET /openai/v1/x HTTP/1.0\r\n\r\n")
        wire.head()
        assert wire.exactly(5) == b"first"
        got_first.set()
        with pytest.raises(ConnectionResetError):
            wire.sock.recv(100)


def test_what_came_before_a_reset_reaches_a_slow_client(
    proxy: Meterline, provider: FakeProvider
) -> None:
    size = 400_000
    sent = threading.Event()

    def script(wire: Wire, _: Message) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"z" * size)
        wire.close()
        sent.set()

    provider.script = script
    with connect(proxy.port) as wire:
        wire.send(CALL)
        assert sent.wait(5)
        seen = wire.head()
        with pytest.raises(Ended) as ended:
            wire.exactly(1_000_000)
    assert len(ended.value.seen) == size
    assert proxy.closed(seen.exchange_id).response_bytes == size


def test_a_dripping_answer_is_not_a_silent_one(proxy: Meterline, provider: FakeProvider) -> None:
    """The patience (1 s here) is for silence, not for the whole."""

    def script(wire: Wire, _: Message) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        for _drop in range(4):
            time.sleep(0.4)  # the drip itself
            wire.send(b"x")

    provider.script = script
    assert ask(proxy).body == b"xxxx"


def test_an_answer_before_the_upload_ended_is_relayed(
    proxy: Meterline, provider: FakeProvider
) -> None:
    def script(wire: Wire, _: Message) -> None:
        wire.send(answer(b"too much", status=b"413 Content Too Large"))
        wire.ended(5)

    provider.script_head = script
    with connect(proxy.port) as wire:
        wire.send(b"POST /openai/v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(chunk(b"piece"))
        seen = wire.answer()
        assert (seen.status, seen.body) == (413, b"too much")
    assert proxy.closed(seen.exchange_id).outcome == "provider_error"
    provider.script_head, provider.script = None, answering(answer(b"fresh"))
    assert ask(proxy).body == b"fresh"
    assert len(provider.wires) == 2


def test_bytes_behind_an_answer_poison_nobody(proxy: Meterline, provider: FakeProvider) -> None:
    provider.script = answering(answer(b"mine") + answer(b"stale"))
    assert ask(proxy).body == b"mine"
    provider.script = answering(answer(b"fresh"))
    assert ask(proxy).body == b"fresh"
    assert len(provider.wires) == 2


def test_bytes_that_come_on_an_idle_connection_poison_nobody(
    proxy: Meterline, provider: FakeProvider
) -> None:
    assert ask(proxy).body == b"{}"
    idle = provider.wires[0]
    idle.send(answer(b"stale"))
    provider.script = answering(answer(b"fresh"))
    for _ in range(3):
        assert ask(proxy).body == b"fresh"


def test_idle_connections_that_the_provider_closed_are_not_used(
    proxy: Meterline, provider: FakeProvider
) -> None:
    for _ in range(3):
        assert ask(proxy).status == 200
        provider.wires[-1].sock.shutdown(socket.SHUT_WR)
        wait_for(lambda: provider.wires[-1].sock.fileno() < 0, "the proxy to close its side")


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("when", ["before", "amid"])
def test_a_client_that_leaves_ends_the_upstream_connection(
    proxy: Meterline, provider: FakeProvider, how: str, when: str
) -> None:
    arrived, told = threading.Event(), threading.Event()

    def script(wire: Wire, _: Message) -> None:
        if when == "amid":
            wire.send(CHUNKED + chunk(b"data: seen\n\n"))
        arrived.set()
        if wire.ended(1):
            told.set()

    provider.script = script
    before = len(proxy.closed_entries())
    wire = connect(proxy.port)
    wire.send(CALL)
    assert arrived.wait(5)
    if when == "amid":
        wire.head()
        assert wire.chunk() == b"data: seen\n\n"
    wire.reset() if how == "reset" else wire.close()
    assert told.wait(2)
    (closed,) = wait_for(lambda: proxy.closed_entries()[before:], "the record")
    assert closed.outcome == "client_disconnected"
    kept = proxy.record(closed.exchange_id)
    assert kept.request == b"{}"
    assert kept.response == (b"data: seen\n\n" if when == "amid" else b"")
    assert closed.status == (200 if when == "amid" else None)
    provider.script = answering(answer(b"fresh"))
    assert ask(proxy).body == b"fresh"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_leaves_amid_its_upload_is_recorded(
    proxy: Meterline, provider: FakeProvider, streamed: bool
) -> None:
    def script(wire: Wire, _: Message) -> None:
        wire.ended(5)

    provider.script_head = script
    before = len(proxy.closed_entries())
    wire = connect(proxy.port)
    framing = "Transfer-Encoding: chunked" if streamed else "Content-Length: 10"
    wire.send(f"POST /openai/v1/x HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n".encode())
    wire.send(chunk(b"half") if streamed else b"half")
    if streamed:
        wait_for(lambda: provider.requests, "the upload to begin")
    wire.reset()
    (closed,) = wait_for(lambda: proxy.closed_entries()[before:], "the record")
    assert closed.outcome == "client_disconnected"
    kept = proxy.record(closed.exchange_id)
    assert kept.opened is not None, "an end without a beginning has neither method nor path"
    assert kept.request == b"half"
    assert len(provider.requests) == int(streamed)


def test_a_provider_that_stops_taking_an_upload_times_out(
    proxy: Meterline, provider: FakeProvider
) -> None:
    """Bytes that wait for the provider keep neither side's connection open."""
    answered, ended = threading.Event(), threading.Event()

    def script(wire: Wire, _: Message) -> None:
        if answered.wait(10) and wire.ended(1):
            ended.set()

    provider.script_head = script
    with connect(proxy.port) as wire:
        wire.send(b"POST /openai/v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n")
        wire.sock.settimeout(0.5)
        with suppress(TimeoutError):
            while True:
                wire.send(b"x" * 100_000)
        wire.sock.settimeout(10)
        seen = wire.answer()
    answered.set()
    assert (seen.status, json.loads(seen.body)["error"]["code"]) == (504, "read_timeout")
    assert proxy.closed(seen.exchange_id).outcome == "timed_out"
    assert ended.wait(2)


def test_a_client_that_leaves_does_not_disturb_others(
    proxy: Meterline, provider: FakeProvider
) -> None:
    def script(wire: Wire, seen: Message) -> None:
        wire.send(CHUNKED)
        for _ in range(20):
            wire.send(chunk(seen.target))
            time.sleep(0.002)  # time for the leavers to leave
        wire.send(LAST_CHUNK)

    provider.script = script
    stayers = [connect(proxy.port) for _ in range(10)]
    leavers = [connect(proxy.port) for _ in range(10)]
    for number, wire in enumerate([*stayers, *leavers]):
        wire.send(request("GET", f"/openai/{number}"))
    for wire in leavers:
        wire.head()
        wire.reset()
    for number, wire in enumerate(stayers):
        assert wire.answer().body == b"/%d" % number * 20
        wire.send(request("GET", "/openai/again"))
        assert wire.answer().body == b"/again" * 20
        wire.close()
