"""The arms of a rule are compared by what it sent there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest

from analytics import rows, store
from analytics.found import Records
from analytics.queries import Selection
from analytics.queries.arms import arms, arms_by_day
from analytics.windows import Window
from proxy.exchange import Decision, Exchange

AT = datetime(2026, 11, 10, 12, tzinfo=UTC)


def sent(arm: str, rule: str = "canary", policy: str = "balance", **values: Any) -> Records:
    exchange = Exchange(
        **{
            "exchange_id": str(uuid4()),
            "started_at": AT,
            "outcome": "completed",
            "user_id": "ana",
            "session_id": "s",
            "input_tokens": 100,
            "cache_read_tokens": 50,
            "output_tokens": 10,
            "cost_usd": Decimal("0.01"),
            "duration_seconds": 1.0,
            **values,
        }
    )
    decision = Decision(
        exchange_id=exchange.exchange_id,
        number=1,
        policy=policy,
        rule=rule,
        action=f"sent to {arm}",
        reason="drawn by session",
    )
    return Records(exchange=exchange, decisions=(decision,))


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    records = [
        *(sent("openai/gpt-4o") for _ in range(3)),
        sent("openai/gpt-5", user_id="ben", cost_usd=Decimal("0.03"), output_tokens=30),
        sent("openai/gpt-5", outcome="provider_error", cost_usd=None, duration_seconds=9.0),
        sent("azure", rule="other"),
        sent("openai/gpt-4o", policy="route"),
        sent("openai/gpt-4o", started_at=AT - timedelta(days=30)),
    ]
    path = tmp_path / store.NAME
    with store.write(path) as opened:
        rows.insert(opened, rows.rows_of(records))
    with store.read(path) as opened:
        yield opened


def test_each_arm_has_its_cost_speed_errors_and_tokens(con: duckdb.DuckDBPyConnection) -> None:
    window = Window(since=AT - timedelta(days=1))
    found = arms(con, Selection(window=window)).to_dicts()
    assert [(row["rule"], row["arm"], row["exchanges"]) for row in found] == [
        ("canary", "openai/gpt-4o", 3),
        ("canary", "openai/gpt-5", 2),
        ("other", "azure", 1),
    ]
    rest, canary, _ = found
    assert canary["share"] == pytest.approx(0.4)
    assert (canary["errors"], canary["error_share"], canary["users"]) == (1, 0.5, 2)
    assert canary["cost_per_exchange_usd"] == Decimal("0.03")
    assert (canary["output_tokens"], canary["p50_seconds"]) == (20.0, 1.0)
    assert (rest["cost_usd"], rest["cached_share"]) == (Decimal("0.03"), 0.5)


def test_by_day_each_arm_has_a_row(con: duckdb.DuckDBPyConnection) -> None:
    found = arms_by_day(con, Selection()).to_dicts()
    assert [(f"{row['day']:%m-%d}", row["arm"], row["exchanges"]) for row in found] == [
        ("10-11", "openai/gpt-4o", 1),
        ("11-10", "openai/gpt-4o", 3),
        ("11-10", "openai/gpt-5", 2),
        ("11-10", "azure", 1),
    ]
