"""The sample week: its store, and what its ledger says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from analytics import hours, store
from sample_data import generator
from sample_data.generator.week import WINDOW
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
def whole_week_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same week made again, with all that was said, tried and decided in it."""
    folder = tmp_path_factory.mktemp("whole")
    generator.fill(folder, days=WINDOW.days, end=WINDOW.end, seed=WINDOW.seed, scale=WINDOW.scale)
    return folder / store.NAME


@pytest.fixture
def whole_week(whole_week_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with store.read(whole_week_path) as con:
        yield con


@pytest.fixture(scope="session")
def lines() -> list[oracle.Line]:
    return oracle.week()
