"""Stores with a few exchanges made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from analytics import rows, store
from analytics.found import Records
from proxy.exchange import Attempt, Exchange

AT = datetime(2026, 11, 10, 12, tzinfo=UTC)


def exchange(**values: Any) -> Exchange:
    defaults: dict[str, Any] = {
        "exchange_id": str(uuid4()),
        "started_at": AT,
        "outcome": "completed",
        "usage_source": "provider",
        "input_tokens": 100,
        "output_tokens": 10,
        "cost_usd": Decimal("1"),
        "cost_status": "priced",
        "duration_seconds": 1.0,
    }
    return Exchange(**(defaults | values))


def fill(path: Path, *exchanges: Exchange, attempts: Sequence[Attempt] = ()) -> Path:
    """A store at `path` with these exchanges and attempts; the path again."""
    records = [
        Records(
            exchange=each,
            attempts=tuple(a for a in attempts if a.exchange_id == each.exchange_id),
        )
        for each in exchanges
    ]
    with store.write(path) as con:
        rows.insert(con, rows.rows_of(records))
    return path
