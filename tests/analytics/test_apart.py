from __future__ import annotations

import resource
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from analytics import apart, store
from analytics.sandbox import SqlRefused


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / store.NAME
    with store.write(made):
        pass
    return made


def test_rows_come_back_with_their_types(path: Path) -> None:
    names, rows = apart.run(path, "SELECT 1.50::DECIMAL(18, 2) AS a, [1, 2] AS b, NULL AS c")
    assert names == ["a", "b", "c"]
    assert rows == [(Decimal("1.50"), [1, 2], None)]


def test_what_is_no_select_is_refused(path: Path) -> None:
    for sql in ("DELETE FROM exchanges", "SELECT 1; SELECT 2", "SELECT * FROM read_text('/etc/x')"):
        with pytest.raises((SqlRefused, apart.SqlFault)):
            apart.run(path, sql)


def test_mistakes_and_missing_stores_are_told(path: Path, tmp_path: Path) -> None:
    with pytest.raises(apart.SqlFault, match="no_such_column"):
        apart.run(path, "SELECT no_such_column FROM exchanges")
    with pytest.raises(store.StoreError, match="does not exist yet"):
        apart.run(tmp_path / "none.duckdb", "SELECT 1")


def test_query_without_end_is_stopped(path: Path) -> None:
    with pytest.raises(SqlRefused, match="stopped after"):
        apart.run(path, "SELECT count(*) FROM range(10000000000), range(100)", timeout_seconds=0.5)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('x', 1000000) FROM range(1000)",
        "SELECT repeat('x', 300000000) FROM range(10000)",
        "SELECT list(range) FROM range(100000000)",
    ],
)
def test_query_that_finds_or_needs_too_much_is_refused(path: Path, sql: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with pytest.raises(SqlRefused, match=r"more than|ended its process"):
        apart.run(path, sql, timeout_seconds=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert after <= max(before, 2_500_000)  # kilobytes


def test_locked_settings_stay_in_their_process(path: Path) -> None:
    """Others read the store while somebody's query runs."""
    endless = "SELECT count(*) FROM range(10000000000), range(100)"

    def run() -> None:
        with pytest.raises(SqlRefused):
            apart.run(path, endless, timeout_seconds=3)

    running = threading.Thread(target=run)
    running.start()
    while running.is_alive():
        with store.read(path) as con:
            assert con.execute("SELECT count(*) FROM exchanges").fetchone() == (0,)
        running.join(0.2)
