"""WebSocket sessions through the tunnel, with a real client and a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as ws_connect
from websockets.sync.server import ServerConnection
from websockets.typing import Subprotocol

from tests.support.processes import Meterline
from tests.support.raw import FakeProvider, Message, Wire, answer, answering, connect, request
from tests.support.websocket_servers import sessions

REALTIME = Subprotocol("realtime")
HANDSHAKE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def echo(session: ServerConnection) -> None:
    for message in session:
        session.send(message)


@pytest.fixture
def tunnel(start_proxy: Callable[..., Meterline]) -> Callable[[int], Meterline]:
    return lambda port: start_proxy({"providers.openai": {"base_url": f"http://127.0.0.1:{port}"}})


def test_a_session_runs_both_ways_with_its_subprotocol_and_extensions(
    tunnel: Callable[[int], Meterline],
) -> None:
    with sessions(echo, [REALTIME]) as port:
        proxy = tunnel(port)
        url = f"ws://127.0.0.1:{proxy.port}/with/feature=voice/openai/v1/realtime?model=m"
        with ws_connect(url, subprotocols=[REALTIME], max_size=None) as session:
            assert session.response is not None
            exchange_id = session.response.headers["meterline-exchange-id"]
            assert session.subprotocol == REALTIME
            assert "permessage-deflate" in session.response.headers["Sec-WebSocket-Extensions"]
            for message in ("hello", b"\x00\xff", "", "x" * 5_000_000):
                session.send(message)
                assert session.recv() == message
            assert session.ping().wait(5)
        kept = proxy.record(exchange_id)
        closed = proxy.closed(exchange_id)
        assert (closed.outcome, closed.status) == ("completed", 101)
        assert closed.request_bytes > 0
        assert closed.response_bytes > 0
        assert kept.opened is not None
        assert kept.opened.labels == {"feature": "voice"}
        assert kept.opened.target == "/v1/realtime?model=m"


def test_both_sides_bytes_are_captured(tunnel: Callable[[int], Meterline]) -> None:
    with sessions(echo) as port:
        proxy = tunnel(port)
        url = f"ws://127.0.0.1:{proxy.port}/openai/v1/realtime"
        with ws_connect(url, compression=None) as session:
            assert session.response is not None
            exchange_id = session.response.headers["meterline-exchange-id"]
            session.send("to be seen in the copy")
            session.recv()
        proxy.closed(exchange_id)
        assert b"to be seen in the copy" in proxy.record(exchange_id).response
        assert len(proxy.record(exchange_id).request) > 22  # masked by the protocol


def test_a_provider_that_ends_the_session_is_seen_to_end_it(
    tunnel: Callable[[int], Meterline],
) -> None:
    def handler(session: ServerConnection) -> None:
        session.send("last words")
        session.close(4001, "enough")

    with sessions(handler) as port:
        proxy = tunnel(port)
        with ws_connect(f"ws://127.0.0.1:{proxy.port}/openai/v1/realtime") as session:
            assert session.recv() == "last words"
            with pytest.raises(ConnectionClosed) as ended:
                session.recv()
        assert ended.value.rcvd is not None
        assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (4001, "enough")


@pytest.mark.parametrize("side", ["client", "provider"])
def test_a_side_that_vanishes_ends_the_other(
    proxy: Meterline, provider: FakeProvider, side: str
) -> None:
    ended = threading.Event()

    def script(wire: Wire, _: Message) -> None:
        wire.send(SWITCH + b"early bytes")
        assert wire.exactly(5) == b"hello"
        if side == "provider":
            wire.reset()
        elif wire.ended(2):
            ended.set()

    provider.script = script
    with connect(proxy.port) as wire:
        wire.send(request("GET", "/openai/v1/realtime", HANDSHAKE))
        head = wire.head()
        assert head.status == 101
        assert wire.exactly(11) == b"early bytes"
        wire.send(b"hello")
        if side == "client":
            wire.reset()
            assert ended.wait(2)
        else:
            assert wire.ended(2)
    closed = proxy.closed(head.exchange_id)
    kept = proxy.record(head.exchange_id)
    assert closed.status == 101
    assert kept.response == b"early bytes"


def test_bytes_that_follow_the_handshake_at_once_are_not_lost(
    proxy: Meterline, provider: FakeProvider
) -> None:
    def script(wire: Wire, _: Message) -> None:
        wire.send(SWITCH)
        wire.send(b"got " + wire.exactly(7))
        wire.close()

    provider.script = script
    with connect(proxy.port) as wire:
        wire.send(request("GET", "/openai/v1/realtime", HANDSHAKE) + b"forward")
        assert wire.head().status == 101
        assert wire.rest() == b"got forward"


def test_a_refused_handshake_is_an_answer_like_any_other(
    proxy: Meterline, provider: FakeProvider
) -> None:
    provider.script = answering(answer(b'{"error":"no"}', status=b"401 Unauthorized"))
    with pytest.raises(InvalidStatus) as refused:
        ws_connect(f"ws://127.0.0.1:{proxy.port}/openai/v1/realtime")
    answered = refused.value.response
    assert (answered.status_code, answered.body) == (401, b'{"error":"no"}')
    closed = proxy.closed(answered.headers["meterline-exchange-id"])
    assert closed.outcome == "provider_error"


@pytest.mark.usefixtures("provider")
def test_the_connection_serves_on_after_a_refused_handshake(proxy: Meterline) -> None:
    with connect(proxy.port) as wire:
        wire.send(request("GET", "/openai/v1/realtime", HANDSHAKE))
        assert wire.answer().status == 200
        wire.send(request("GET", "/openai/v1/x"))
        assert wire.answer().status == 200


def test_an_upgrade_is_asked_for_by_both_fields(proxy: Meterline, provider: FakeProvider) -> None:
    with connect(proxy.port) as wire:
        wire.send(request("GET", "/openai/v1/x", [("Upgrade", "websocket")]))
        assert wire.answer().status == 200
    assert provider.requests[0].values(b"Upgrade") == []


def test_a_flood_that_nobody_reads_is_held_back(proxy: Meterline, provider: FakeProvider) -> None:
    stop = threading.Event()

    def script(wire: Wire, _: Message) -> None:
        wire.send(SWITCH)
        wire.sock.settimeout(0.5)
        sent = 0
        try:
            while sent < 100_000_000:
                sent += wire.sock.send(b"z" * 65536)
        except TimeoutError:
            stop.set()

    provider.script = script
    before = proxy.rss_bytes()
    with connect(proxy.port, receive_bytes=4096) as wire:
        wire.send(request("GET", "/openai/v1/realtime", HANDSHAKE))
        assert stop.wait(10)
        assert proxy.rss_bytes() - before < 16 << 20
