"""A store with chosen rows, and export commands run with their own arguments."""

from __future__ import annotations

import argparse
import importlib
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from analytics import rows, store
from analytics.commands import CommandFailed
from analytics.found import Records
from proxy.config import Settings
from proxy.exchange import Content, Exchange

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)

Put = Callable[..., list[str]]
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir)


@pytest.fixture
def put(settings: Settings) -> Put:
    """Puts exchanges into the store, a dict each; with `asked` they have contents too."""

    def into_store(*given: dict[str, Any]) -> list[str]:
        records = [_records(dict(values)) for values in given]
        with store.write(settings.store_path) as con:
            rows.insert(con, rows.rows_of(records))
        return [record.exchange.exchange_id for record in records]

    return into_store


def _records(values: dict[str, Any]) -> Records:
    asked, answered = values.pop("asked", None), values.pop("answered", "Well said.")
    defaults: dict[str, Any] = {
        "exchange_id": str(uuid.uuid4()),
        "started_at": NOON,
        "provider": "openai",
        "dialect": "openai_chat",
        "operation": "chat",
        "method": "POST",
        "path": "/v1/chat/completions",
        "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024-08-06",
        "status": 200,
        "outcome": "completed",
        "input_tokens": 1000,
        "output_tokens": 50,
        "usage_source": "provider",
        "cost_usd": Decimal("0.003"),
        "input_cost_usd": Decimal("0.0025"),
        "output_cost_usd": Decimal("0.0005"),
        "cost_status": "priced",
        "duration_seconds": 2.0,
    }
    exchange = Exchange(**(defaults | values))
    return Records(
        exchange=exchange,
        content=None if asked is None else _content(exchange, asked, answered),
    )


def _content(exchange: Exchange, asked: Any, answered: str) -> Content:
    messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    request = {"model": exchange.request_model, "temperature": 0.5, "messages": messages}
    choice = {"index": 0, "message": {"role": "assistant", "content": answered}}
    return Content(
        exchange_id=exchange.exchange_id,
        started_at=exchange.started_at,
        target="/v1/chat/completions",
        request_headers='[["content-type","application/json"]]',
        request_body=orjson.dumps(request),
        response_headers='[["content-type","application/json"]]',
        response_body=orjson.dumps({"id": "c", "object": "chat.completion", "choices": [choice]}),
    )


@pytest.fixture
def run(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; its exit code and all that it said."""

    def command(name: str, *arguments: str) -> tuple[int, str]:
        module = importlib.import_module(f"analytics.commands.{name}")
        parser = argparse.ArgumentParser(prog=name)
        module.add_arguments(parser)
        failure = ""
        try:
            code = module.run(parser.parse_args(arguments), settings)
        except CommandFailed as error:
            code, failure = error.code, str(error)
        captured = capsys.readouterr()
        return code, captured.out + captured.err + failure

    return command
