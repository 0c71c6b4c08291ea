"""No answer without a record: at the end of an answer its Closed entry is in the journal."""

from __future__ import annotations

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

ROUNDS = 25


def ended_when_seen(proxy: Meterline, data: bytes, method: str = "GET") -> None:
    with connect(proxy.port) as wire:
        for _ in range(ROUNDS):
            wire.send(data)
            seen = wire.answer(method)
            assert proxy.record(seen.exchange_id).closed is not None


@pytest.mark.parametrize(
    "data",
    [
        answer(b"{}"),
        answer(b""),
        answer(b"x" * 200_000),
        answer(b'{"error":{}}', status=b"500 No"),
        CHUNKED + chunk(b"data: 1\n\n") + chunk(b"data: 2\n\n") + LAST_CHUNK,
        CHUNKED + LAST_CHUNK,
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
    ids=["short", "empty", "long", "error", "chunked", "chunked-empty", "204"],
)
def test_the_record_is_written_before_the_answer_ends(
    proxy: Meterline, provider: FakeProvider, data: bytes
) -> None:
    provider.script = answering(data)
    ended_when_seen(proxy, request("POST", "/openai/v1/x", body=b"{}"))


def test_the_record_is_written_before_the_last_byte_of_a_length_that_trickles(
    proxy: Meterline, provider: FakeProvider
) -> None:
    body = b"0123456789" * 3

    def script(wire: Wire, _: Message) -> None:
        head, mark, rest = answer(body).partition(b"\r\n\r\n")
        wire.send(head + mark)
        for at in range(len(rest)):
            wire.send(rest[at : at + 1])

    provider.script = script
    ended_when_seen(proxy, request("GET", "/openai/v1/x"))


@pytest.mark.parametrize("size", [131_072, 131_073, 262_144, 1_000_000])
def test_the_record_is_written_before_the_end_that_a_slow_reader_gets(
    proxy: Meterline, provider: FakeProvider, size: int
) -> None:
    """Full buffers pause the parser, which must not hide that the body is whole."""
    provider.script = answering(answer(b"y" * size))
    for _ in range(3):
        with connect(proxy.port, receive_bytes=4096) as wire:
            wire.send(request("GET", "/openai/v1/x"))
            head = wire.head()
            wire.exactly(size)
            assert proxy.record(head.exchange_id).closed is not None


@pytest.mark.parametrize(
    ("target", "status"),
    [("/nobody/v1/x", 404), ("/refusing/v1/x", 502), ("/nameless/v1/x", 502)],
)
def test_own_errors_have_their_record_too(proxy: Meterline, target: str, status: int) -> None:
    for _ in range(3):
        with connect(proxy.port) as wire:
            wire.send(request("POST", target, body=b"{}"))
            seen = wire.answer()
            assert seen.status == status
            assert proxy.record(seen.exchange_id).closed is not None


def test_the_beginning_is_written_before_the_provider_sees_the_request(
    proxy: Meterline, provider: FakeProvider
) -> None:
    opened: list[bool] = []
    before = set(proxy.opened_ids())

    def script(wire: Wire, _: Message) -> None:
        opened.append(len(set(proxy.opened_ids()) - before) == 1)
        wire.send(answer())

    provider.script = script
    with connect(proxy.port) as wire:
        wire.send(request("POST", "/openai/v1/x", body=b'{"model":"m"}'))
        seen = wire.answer()
    assert opened == [True]
    assert proxy.record(seen.exchange_id).request == b'{"model":"m"}'
