"""Cancelled at every await: whatever was held for a call comes back, and it is charged once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import orjson
import pytest

from analytics import spending
from proxy import config
from proxy.caching.flights import Flights
from proxy.circuit import Circuit
from proxy.limits.accounts import Account, Buckets
from proxy.limits.settlement import present
from proxy.server import Worker, listen
from tests.proxy.policies.conftest import CHAT, EVENTS, WORD
from tests.support.raw import FakeProvider, Message, Script, Wire, answer, chunk, connect, request

RULES = """
[[rules]]
name = "fair-use"
limit = { per = "user", requests = 1_000_000, tokens = 1_000_000_000, concurrent = 1 }

[[rules]]
name = "monthly"
budget = { usd = 1_000_000 }

[[rules]]
name = "again"
cache = { ttl_seconds = 0.000001 }

[[rules]]
name = "elsewhere"
fallback = { to = ["behind"], deadline_seconds = 20 }

[[rules]]
name = "once-more"
retry = { attempts = 2, first_wait_seconds = 0.001 }

[[rules]]
name = "resting"
breaker = { minimum = 1, failure_rate = 1.0, open_seconds = 0.001 }
"""
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
PROMPT = "word " * 40
PROMPT_TOKENS = 15
"""The usage that the answers tell is no larger, and no estimate is smaller."""
BUSY = answer(b'{"error":"busy"}', status=b"503 Busy")
MOST_AWAITS = 500


class CancelledAt:
    """Awaits a coroutine, whose task is cancelled when it waits for the `number`th time."""

    def __init__(self, work: Coroutine[Any, Any, Any], number: int) -> None:
        self._work = work
        self._number = number
        self.waits = 0

    @property
    def cancelled(self) -> bool:
        return self.waits > self._number

    def __await__(self) -> Generator[Any, Any, Any]:
        steps, failure = self._work.__await__(), None
        while True:
            try:
                waiting = next(steps) if failure is None else steps.throw(failure)
            except StopIteration as ended:
                return ended.value
            if self.waits == self._number:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()  # takes effect at the wait that follows
            self.waits += 1
            failure = None
            try:
                yield waiting
            except BaseException as error:
                failure = error


def in_pieces(wire: Wire, *pieces: bytes) -> None:
    """Slowly, so that the proxy waits for each."""
    for piece in pieces:
        wire.send(piece)
        time.sleep(0.01)


def whole(wire: Wire, _: Message) -> None:
    body = orjson.dumps({"model": "gpt-4o-mini", "usage": USAGE})
    head, _, rest = answer(body).partition(b"\r\n\r\n")
    in_pieces(wire, head + b"\r\n\r\n", rest[:10], rest[10:])


def streamed(wire: Wire, _: Message) -> None:
    last = {"model": "gpt-4o-mini", "choices": [], "usage": USAGE}
    events = (WORD, WORD, b"data: " + orjson.dumps(last) + b"\n\n")
    in_pieces(wire, EVENTS, *map(chunk, events), b"0\r\n\r\n")


def failing_before(script: Script, failures: int) -> Script:
    """The first attempts of each call get a 503."""
    seen = 0

    def serve(wire: Wire, message: Message) -> None:
        nonlocal seen
        seen += 1
        if seen % (failures + 1):
            wire.send(BUSY)
        else:
            script(wire, message)

    return serve


class Handled:
    """A worker of this process whose calls are cancelled where the test wants it."""

    def __init__(self, worker: Worker, port: int) -> None:
        self.worker = worker
        self.port = port
        self.number = -1
        self.last: CancelledAt | None = None
        self.ended = asyncio.Event()
        handle: Callable[..., Coroutine[Any, Any, Any]] = worker._relay.handle

        async def cancelled(request_: Any) -> Any:
            self.last = CancelledAt(handle(request_), self.number)
            try:
                return await self.last
            finally:
                self.ended.set()

        worker._relay.handle = cancelled  # type: ignore[method-assign]

    async def call(self, number: int, *, stream: bool) -> CancelledAt:
        """One call, cancelled at its `number`th await."""
        self.number, self.last = number, None
        self.ended.clear()
        messages = [{"role": "user", "content": PROMPT}]
        body = orjson.dumps({"model": "gpt-4o-mini", "messages": messages, "stream": stream})
        with connect(self.port) as wire:
            wire.send(request("POST", CHAT, body=body))
            await asyncio.wait_for(self.ended.wait(), 10)
        assert self.last is not None
        return self.last

    def accounts(self) -> dict[str, Account]:
        kept = self.worker._surroundings.memory.all(Buckets)
        return {name: account for name, found in kept.items() for _, account in found}

    def flights(self) -> dict[str, Flights]:
        return self.worker._surroundings.memory.all(Flights)

    def circuits(self) -> dict[str, Circuit]:
        return self.worker._surroundings.memory.all(Circuit)


async def with_worker(
    provider: FakeProvider, folder: Path, check: Callable[[Handled], Awaitable[None]]
) -> None:
    path = folder / "meterline.toml"
    tables = "".join(
        f'[providers.{name}]\nbase_url = "{provider.url}"\n' for name in ("openai", "behind")
    )
    path.write_text(f'data_dir = "data"\n{tables}{RULES}')
    settings = config.load(str(path))
    worker = Worker(settings, price=spending.price(settings))
    sock = listen("127.0.0.1", 0)
    await worker.start(sock)
    try:
        await check(Handled(worker, sock.getsockname()[1]))
    finally:
        await worker.stop()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failures", [0, 1, 3])
def test_nothing_stays_held_wherever_a_call_is_cancelled(
    provider: FakeProvider, tmp_path: Path, stream: bool, failures: int
) -> None:
    provider.script = failing_before(streamed if stream else whole, failures)

    async def check(handled: Handled) -> None:
        for number in range(MOST_AWAITS):
            before = {name: each.used(present()) for name, each in handled.accounts().items()}
            made = await handled.call(number, stream=stream)
            for name, account in handled.accounts().items():
                assert account.held == 0, f"{name} after a cancel at await {number}"
                more = account.used(present()) - before.get(name, 0)
                assert more in (0, 1) or "requests" not in name, f"{name} at {number}"
                assert more >= 0, f"{name} at {number}"
            assert all(not flights for flights in handled.flights().values())
            assert all(not circuit.probing for circuit in handled.circuits().values())
            if not made.cancelled:
                break
        assert not made.cancelled, "a call that was not cancelled ends"
        assert number >= 3, "calls wait several times"
        if not failures:
            used = {name: each.used(present()) for name, each in handled.accounts().items()}
            (tokens,) = (used[name] for name in used if " tokens " in name)
            (money,) = (used[name] for name in used if " usd " in name)
            assert tokens >= len(provider.requests) * PROMPT_TOKENS, "what was sent is charged"
            assert money > 0

    asyncio.run(with_worker(provider, tmp_path, check))
