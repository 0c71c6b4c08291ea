"""The sample week: its store, and what its ledger says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from analytics import hours, store
from tests.support import oracle

_INSERT = """
INSERT INTO exchanges BY NAME
SELECT * REPLACE (CAST(exchange_id AS UUID) AS exchange_id)
FROM read_parquet(?) ORDER BY started_at, exchange_id
"""


@pytest.fixture(scope="session")
def week_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("week") / store.NAME
    with store.write(path) as con:
        con.execute(_INSERT, [str(oracle.SAMPLE / "week.parquet")])
        hours.sum_all(con, datetime.now(UTC))
    return path


@pytest.fixture
def week(week_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with store.read(week_path) as con:
        yield con


@pytest.fixture(scope="session")
def lines() -> list[oracle.Line]:
    return oracle.week()
