"""Stores for reports: small ones made by hand, and a month of sample data with its ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import orjson
import pytest

from analytics import rows, store
from analytics.found import Records
from analytics.prices import PriceBook
from proxy.exchange import Content, Exchange
from sample_data import generator
from sample_data.generator.ledger import NAME, Ledger, read

AT = datetime(2026, 11, 10, 12, tzinfo=UTC)
MILLION = Decimal(1_000_000)


def exchange(**values: Any) -> Exchange:
    """An exchange with gpt-4o that cost what its tokens cost: $2.50 and $10 a million."""
    defaults: dict[str, Any] = {
        "exchange_id": str(uuid4()),
        "started_at": AT,
        "provider": "openai",
        "operation": "chat",
        "request_model": "gpt-4o",
        "status": 200,
        "outcome": "completed",
        "usage_source": "provider",
        "input_tokens": 1000,
        "output_tokens": 100,
        "duration_seconds": 1.0,
        "request_bytes": 500,
    }
    given = defaults | values
    if "cost_usd" not in given and given["input_tokens"] is not None:
        asked = given["input_tokens"] * Decimal("2.5") / MILLION
        said = given["output_tokens"] * Decimal(10) / MILLION
        given |= {"input_cost_usd": asked, "output_cost_usd": said, "cost_usd": asked + said}
        given.setdefault("cost_status", "priced")
    return Exchange(**given)


Open = Callable[..., Any]


JSON = [["content-type", "application/json"]]
Given = Exchange | tuple[Exchange, bytes] | tuple[Exchange, bytes, list[list[str]]]


@pytest.fixture
def stored(tmp_path: Path) -> Open:
    """Puts exchanges into a store and opens it; each may come with its request's body, and that
    with headers."""

    @contextmanager
    def opened(*given: Given) -> Iterator[duckdb.DuckDBPyConnection]:
        path = tmp_path / store.NAME
        records = [_records(*each) if isinstance(each, tuple) else _records(each) for each in given]
        with store.write(path) as con:
            rows.insert(con, rows.rows_of(records))
        with store.read(path) as con:
            yield con

    return opened


def _records(
    made: Exchange, body: bytes | None = None, headers: list[list[str]] | None = None
) -> Records:
    content = None
    if body is not None:
        content = Content(
            exchange_id=made.exchange_id,
            started_at=made.started_at,
            target=made.path or "/v1/chat/completions",
            request_headers=orjson.dumps(headers or JSON).decode(),
            request_body=body,
        )
    return Records(exchange=made, content=content)


@dataclass(frozen=True, slots=True)
class Sample:
    path: Path
    ledger: Ledger
    book: PriceBook

    @property
    def first_day(self) -> datetime:
        return datetime.fromisoformat(self.ledger.window["first_day"])

    @contextmanager
    def opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with store.read(self.path / store.NAME) as con:
            yield con


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A quarter of the sample month, which ends on the 24th of November 2026."""
    folder = tmp_path_factory.mktemp("sample")
    window = generator.Window(end=datetime(2026, 11, 24, tzinfo=UTC), scale=0.25)
    generator.fill(
        folder, days=window.days, end=window.end, scale=window.scale, ledger=folder / NAME
    )
    return Sample(folder, read(folder / NAME), generator.price_book(window))
