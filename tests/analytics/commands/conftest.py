"""A store with a few rows, put there on the real way, and commands run with their own arguments."""

from __future__ import annotations

import argparse
import importlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics import rows, store
from analytics.commands import CommandFailed
from analytics.found import Records
from proxy.config import Settings
from proxy.exchange import Exchange
from tests.support.holding import held

NOW = datetime.now(UTC).replace(microsecond=0)

Post = Callable[..., list[str]]
Run = Callable[..., "Ran"]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def post(settings: Settings) -> Post:
    """Puts exchanges into the store: keyword arguments of records, one dict an exchange."""

    def put(*given: dict[str, Any]) -> list[str]:
        records = [_records(number, values) for number, values in enumerate(given)]
        with store.write(settings.store_path) as con:
            rows.insert(con, rows.rows_of(records))
        return [record.exchange.exchange_id for record in records]

    return put


def _records(number: int, values: dict[str, Any]) -> Records:
    values = dict(values)
    belonging = {k: values.pop(k) for k in ("attempts_made", "decisions", "content") if k in values}
    defaults: dict[str, Any] = {
        "exchange_id": str(uuid.uuid4()),
        "started_at": NOW - timedelta(minutes=1) + timedelta(milliseconds=number),
        "provider": "openai",
        "request_model": "gpt-4o-mini",
        "status": 200,
        "outcome": "completed",
        "input_tokens": 1000,
        "output_tokens": 50,
        "usage_source": "provider",
        "cost_usd": Decimal("0.01"),
        "cost_status": "priced",
        "duration_seconds": 2.0,
    }
    exchange = Exchange(**(defaults | values))
    return Records(
        exchange=exchange,
        attempts=tuple(made(exchange) for made in belonging.get("attempts_made", ())),
        decisions=tuple(made(exchange) for made in belonging.get("decisions", ())),
        content=belonging["content"](exchange) if "content" in belonging else None,
    )


@pytest.fixture
def run(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command as the command line does: `run("top", "--by", "model")`."""

    def command(name: str, *arguments: str, settings: Settings = settings) -> Ran:
        module = importlib.import_module(f"analytics.commands.{name}")
        parser = argparse.ArgumentParser(prog=name)
        parser.add_argument("--config")
        module.add_arguments(parser)
        if getattr(module, "FORMATS", False):
            parser.add_argument("--format", choices=("table", "json", "csv"), default="table")
        failure = ""
        try:
            code = module.run(parser.parse_args(arguments), settings)
        except CommandFailed as error:
            code, failure = error.code, str(error)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err + failure)

    return command


@pytest.fixture(name="held")
def held_store(settings: Settings) -> Callable[[], AbstractContextManager[int]]:
    """Another process that has the store open for writing; gives its process id."""

    @contextmanager
    def hold() -> Iterator[int]:
        with held(settings.store_path) as process:
            yield process.pid

    return hold
