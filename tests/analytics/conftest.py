"""A journal and a poster on a folder of their own, for tests of what comes between them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from analytics import store
from analytics.poster import Poster
from proxy.journal import Closed, JournalWriter, Opened, Part
from proxy.journal.entries import AttemptMade

STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
MICROSECONDS = int(STARTED.timestamp() * 1_000_000)
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


class Traffic:
    """Writes exchanges to a journal as the proxy does. `ids` are all that were begun."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self.writer = JournalWriter(data_dir / "journal", fsync="always", **settings)
        self.ids: list[str] = []
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        number = next(self._numbers)
        value = (MICROSECONDS // 1000) << 80 | 7 << 76 | 2 << 62 | id(self) % 2**30 << 20 | number
        self.ids.append(str(uuid.UUID(int=value)))
        return self.ids[-1]

    def open(
        self, exchange_id: str | None = None, request: bytes | None = None, **more: Any
    ) -> str:
        exchange_id = exchange_id or self.new_id()
        given: dict[str, Any] = {
            "node": "here",
            "started_at": MICROSECONDS,
            "provider": "openai",
            "method": "POST",
            "target": "/v1/chat/completions?x=1",
            "headers": [("content-type", "application/json")],
        }
        body = self.request() if request is None else request
        self.writer.append(Opened(exchange_id=exchange_id, **given | more), body)
        return exchange_id

    def part(self, exchange_id: str, request: bytes = b"", response: bytes = b"") -> None:
        self.writer.append(Part(exchange_id=exchange_id), request, response)

    def close(self, exchange_id: str, response: bytes | None = None, **more: Any) -> None:
        body = self.response() if response is None else response
        given: dict[str, Any] = {
            "node": "here",
            "started_at": MICROSECONDS,
            "outcome": "completed",
            "upstream": "api.openai.com",
            "status": 200,
            "headers": [("content-type", "application/json")],
            "duration_seconds": 0.5,
            "response_bytes": len(body),
            "attempts": [
                AttemptMade(
                    number=1,
                    upstream="api.openai.com",
                    started_at=MICROSECONDS,
                    duration_seconds=0.4,
                    status=200,
                )
            ],
        }
        self.writer.append(Closed(exchange_id=exchange_id, **given | more), b"", body)

    def exchange(self, **more: Any) -> str:
        exchange_id = self.open()
        self.close(exchange_id, **more)
        return exchange_id

    def request(self, **more: Any) -> bytes:
        messages = [{"role": "user", "content": "Say something short."}]
        return orjson.dumps({"model": "gpt-4o", "messages": messages, **more})

    def response(self, **more: Any) -> bytes:
        message = {"role": "assistant", "content": "Something short."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "c-1", "object": "chat.completion", "model": "gpt-4o-2024-08-06"}
        return orjson.dumps(answer | {"choices": [choice], "usage": USAGE} | more)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def traffic(data_dir: Path) -> Iterator[Traffic]:
    made = Traffic(data_dir)
    yield made
    made.writer.close()


@pytest.fixture
def lane(data_dir: Path, request: pytest.FixtureRequest) -> Callable[..., Traffic]:
    """Further lanes, with settings of the writer."""

    def make(**settings: Any) -> Traffic:
        made = Traffic(data_dir, **settings)
        request.addfinalizer(made.writer.close)
        return made

    return make


@pytest.fixture
def poster(data_dir: Path) -> Iterator[Poster]:
    made = Poster(data_dir)
    yield made
    made.close()


@pytest.fixture
def query(data_dir: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    def run(sql: str) -> list[tuple[Any, ...]]:
        with store.read(data_dir / store.NAME) as con:
            return con.execute(sql).fetchall()

    return run
