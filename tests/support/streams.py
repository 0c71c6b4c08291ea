"""Many clients that stream at once, each with a ledger of its own.

Owns what a client can know: what it sent, what came back, and whether the end of the answer was
seen. Refuses to retry or to give up: a call that fails is noted, and the next one is made.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp

from tests.support.services import Entry, Place

Dialect = Literal["openai", "anthropic"]
PATHS = {"openai": "/openai/v1/chat/completions", "anthropic": "/anthropic/v1/messages"}
MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}
TOPICS = ("Mondays", "rain", "long queues", "bread", "trains", "the sea", "old maps", "keys")


@dataclass(slots=True, kw_only=True)
class Answered:
    """One call as its client knows it."""

    test_id: str
    dialect: Dialect
    stream: bool
    exchange_id: str | None = None
    status: int | None = None
    body: bytes = b""
    complete: bool = False
    """The end of the answer was seen."""
    left: bool = False
    """The client left on purpose."""
    failure: str | None = None

    def usage(self) -> dict[str, Any]:
        """What the provider reports in a complete answer, merged over a stream's events."""
        if not self.stream:
            return dict(json.loads(self.body)["usage"])
        merged: dict[str, Any] = {}
        for line in self.body.splitlines():
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                merged |= event.get("usage") or event.get("message", {}).get("usage") or {}
        return merged


@dataclass(slots=True, kw_only=True)
class Crowd:
    """Clients that call until told to stop. `ledger` has every call that was begun."""

    at: Place
    name: str
    seed: int = 1
    pace: float = 0.5
    leaving: float = 0.05
    """The share of calls whose client leaves midway."""
    ledger: list[Answered] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, clients: int) -> None:
        timeout = aiohttp.ClientTimeout(total=60)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            await asyncio.gather(*(self._client(session, number) for number in range(clients)))

    def stop(self) -> None:
        self._stop.set()

    async def _client(self, session: aiohttp.ClientSession, number: int) -> None:
        choices = random.Random(self.seed * 1000 + number)
        for count in itertools.count():
            if self._stop.is_set():
                return
            call = Answered(
                test_id=f"{self.name} {number} {count}",
                dialect=choices.choice(("openai", "anthropic")),
                stream=choices.random() < 0.85,
            )
            leave_after = choices.randint(1, 20) if choices.random() < self.leaving else None
            topic = choices.choice(TOPICS)
            self.ledger.append(call)
            try:
                await self._make(session, call, topic, leave_after)
            except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                call.failure = repr(error)
                await asyncio.sleep(0.2)

    async def _make(
        self, session: aiohttp.ClientSession, call: Answered, topic: str, leave_after: int | None
    ) -> None:
        request = session.post(
            self.at.url + PATHS[call.dialect],
            json=question(call.dialect, topic, call.stream),
            headers=self._headers(call),
        )
        async with request as response:
            call.exchange_id = response.headers.get("meterline-exchange-id")
            call.status = response.status
            pieces = 0
            async for piece in response.content.iter_any():
                call.body += piece
                pieces += 1
                if pieces == leave_after:
                    call.left = True
                    response.close()
                    return
            call.complete = True

    def _headers(self, call: Answered) -> dict[str, str]:
        return {
            "authorization": "Bearer sk-0123456789",
            "anthropic-version": "2023-06-01",
            "accept-encoding": "identity",
            "x-test-id": call.test_id,
            "meterline-tag-test": call.test_id,
            "demo-pace": str(self.pace),
        }


def question(dialect: Dialect, topic: str, stream: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": MODELS[dialect],
        "messages": [{"role": "user", "content": f"Say something kind about {topic}."}],
        "stream": stream,
    }
    if dialect == "anthropic":
        return {**body, "max_tokens": 2000}
    return {**body, "stream_options": {"include_usage": True}} if stream else body


def arrived(entries: list[Entry], name: str) -> list[str]:
    """The test ids of a crowd that reached the provider."""
    return [e["test_id"] for e in entries if (e["test_id"] or "").startswith(f"{name} ")]
