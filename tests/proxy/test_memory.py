"""Large bodies and slow readers: streamed, with bounded memory and bounded copies."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import pytest

from tests.support.processes import Meterline
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

PIECE = bytes(range(256)) * 256  # 64 KiB
PIECES = 1600  # 100 MiB
TOTAL = len(PIECE) * PIECES
ALLOWED_BYTES = 48 << 20


def test_a_hundred_megabytes_go_both_ways_in_bounded_memory(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy()

    def script(wire: Wire, _: Message) -> None:
        wire.send(CHUNKED)
        received = 0
        while piece := wire.chunk():
            received += len(piece)
            wire.send(chunk(piece))
        wire.send(chunk(b"tail %d" % received) + LAST_CHUNK)

    provider.script_head = script
    start_bytes = proxy.rss_bytes()
    with connect(proxy.port) as wire:
        wire.send(b"POST /openai/v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")

        def upload() -> None:
            for _ in range(PIECES):
                wire.send(chunk(PIECE))
            wire.send(LAST_CHUNK)

        sender = threading.Thread(target=upload)
        sender.start()
        head = wire.head()
        digest, size, last = hashlib.sha256(), 0, b""
        while piece := wire.chunk():
            digest.update(piece)
            size += len(piece)
            last = piece[-40:]
        sender.join(10)
    end = b"tail %d" % TOTAL
    expected = hashlib.sha256()
    for _ in range(PIECES):
        expected.update(PIECE)
    expected.update(end)
    assert (size, last.endswith(end)) == (TOTAL + len(end), True)
    assert digest.digest() == expected.digest()
    assert proxy.rss_bytes(peak=True) - start_bytes < ALLOWED_BYTES
    kept = proxy.record(head.exchange_id)
    assert kept.closed is not None
    limit = 8_388_608
    for body, gap in (
        (kept.request, kept.closed.request_gap),
        (kept.response, kept.closed.response_gap),
    ):
        assert gap is not None
        assert len(body) == limit
        assert body[:65536] == PIECE
    assert kept.closed.request_bytes == TOTAL
    assert kept.response.endswith(end)


def test_a_slow_reader_holds_the_provider_back(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy({"upstream": {"read_timeout_seconds": 1.0}})
    held, go = threading.Event(), threading.Event()
    size = 50 << 20

    def script(wire: Wire, _: Message) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        wire.sock.settimeout(1.5)  # longer than the patience with a silent provider
        sent = 0
        while sent < size:
            try:
                sent += wire.sock.send(PIECE[: size - sent])
            except TimeoutError:
                held.set()
                assert go.wait(10)

    provider.script = script
    start_bytes = proxy.rss_bytes()
    with connect(proxy.port, receive_bytes=4096) as wire:
        wire.send(request("GET", "/openai/v1/x"))
        head = wire.head()
        assert held.wait(10)
        assert proxy.rss_bytes() - start_bytes < ALLOWED_BYTES
        assert proxy.record(head.exchange_id).closed is None
        go.set()
        received = 0
        while received < size:
            received += len(wire.exactly(min(1 << 20, size - received)))
    assert proxy.closed(head.exchange_id).outcome == "completed"
    assert proxy.rss_bytes(peak=True) - start_bytes < ALLOWED_BYTES


def test_many_slow_readers_at_once_are_bounded_together(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy({"upstream": {"read_timeout_seconds": 30.0}})
    held = threading.Semaphore(0)

    def script(wire: Wire, _: Message) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        wire.sock.settimeout(0.5)
        try:
            while True:
                wire.sock.send(PIECE)
        except TimeoutError:
            held.release()

    provider.script = script
    start_bytes = proxy.rss_bytes()
    wires = [connect(proxy.port, receive_bytes=4096) for _ in range(60)]
    for wire in wires:
        wire.send(request("GET", "/openai/v1/x"))
    for _ in wires:
        assert held.acquire(timeout=20)
    assert proxy.rss_bytes() - start_bytes < 60 * (1 << 20)
    for wire in wires:
        wire.reset()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_request_beyond_the_limit_gets_a_413(
    start_proxy: Callable[..., Meterline], provider: FakeProvider, chunked: bool
) -> None:
    proxy = start_proxy({"server": {"max_request_bytes": 100_000}})

    def script(wire: Wire, head: Message) -> None:
        wire.body(head, until_close=False)
        wire.send(answer())

    provider.script_head = script
    with connect(proxy.port) as wire:  # exactly the limit goes through
        wire.send(request("POST", "/openai/v1/x", body=b"x" * 100_000))
        assert wire.answer().status == 200
    with connect(proxy.port) as wire:
        head = b"POST /openai/v1/messages HTTP/1.1\r\nHost: h\r\n"
        if chunked:
            wire.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(101):
                wire.send(chunk(b"y" * 1000))
        else:
            wire.send(head + b"Content-Length: 100001\r\n\r\n")
        seen = wire.answer()
        assert seen.status == 413
        assert b"request_too_large" in seen.body
        assert b"server.max_request_bytes (100000)" in seen.body
    closed = proxy.closed(seen.exchange_id)
    assert (closed.outcome, closed.error_type) == ("refused", "request_too_large")
    # The chunked one may have been ended before the provider saw its head.
    assert len(provider.requests) in ((1, 2) if chunked else (1,))
