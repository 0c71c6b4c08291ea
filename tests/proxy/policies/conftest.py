"""Proxies with rules, before a fake provider that does what a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import orjson
import pytest

from proxy.journal import Closed
from tests.support.processes import Meterline, wait_for
from tests.support.raw import Message, Script, Wire, chunk, connect, request
from tests.support.services import Provider, demo_provider

CHAT = "/openai/v1/chat/completions"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
WORD = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'

Ruled = Callable[..., Meterline]


@pytest.fixture
def ruled(start_proxy: Callable[..., Meterline]) -> Ruled:
    """Starts a proxy with these rules."""

    def begin(rules: str, **options: object) -> Meterline:
        return start_proxy(options.pop("tables", {}), rules=rules, **options)

    return begin


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """The demo provider in a process of its own, without waiting."""
    with demo_provider(tmp_path_factory.mktemp("demo") / "log") as provider:
        yield provider


def chat(
    port: int,
    *,
    model: str = "gpt-4o-mini",
    stream: bool = False,
    text: str = "Hello",
    fields: Iterable[tuple[str, str]] = (),
    target: str = CHAT,
    **members: object,
) -> Message:
    """One chat completion; the answer as it came."""
    messages = [{"role": "user", "content": text}]
    asked = {"model": model, "messages": messages, "stream": stream, **members}
    with connect(port) as wire:
        wire.send(request("POST", target, [*fields], orjson.dumps(asked)))
        return wire.answer("POST")


def one_after_another(*scripts: Script) -> Script:
    """A script that does each in turn, and the last for all that follow."""
    left = list(scripts)

    def script(wire: Wire, message: Message) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(wire, message)

    return script


def streaming(*events: bytes, end: bool = True) -> Script:
    """An event stream, cut off where it has no `end`."""

    def script(wire: Wire, _: Message) -> None:
        wire.send(EVENTS + b"".join(map(chunk, events)) + (b"0\r\n\r\n" if end else b""))
        if not end:
            wire.close()

    return script


def resetting(wire: Wire, _: Message) -> None:
    wire.reset()


def closed(proxy: Meterline, answer: Message) -> Closed:
    return proxy.closed(answer.exchange_id)


def last_closed(proxy: Meterline) -> Closed:
    """The only exchange that ended."""
    (found,) = wait_for(proxy.closed_entries, "the end of the exchange")
    return found


def actions(found: Closed) -> list[tuple[str, str]]:
    """What policies did: (policy, action)."""
    return [(made.policy, made.action) for made in found.decisions]


def statuses(found: Closed) -> Sequence[int | None]:
    return [made.status for made in found.attempts]
