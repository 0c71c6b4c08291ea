from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from analytics import store
from analytics.queries import Selection
from analytics.queries.failures import OUTCOMES, error_kinds, failed_attempts, failures
from analytics.windows import Window
from proxy.exchange import Attempt
from tests.support import oracle
from tests.support.oracle import Line
from tests.support.small_store import AT, exchange, fill

Lines = list[Line]


@pytest.mark.parametrize("by", ["provider", "feature", "model", "user"])
def test_errors_are_those_of_the_ledger(
    week: duckdb.DuckDBPyConnection, lines: Lines, by: str
) -> None:
    groups = oracle.grouped(lines, {"user": "user_id"}.get(by, by))
    frame = failures(week, by, Selection(), limit=300)
    rows = {row["name"]: row for row in frame.filter(part="group").to_dicts()}
    assert rows.keys() == groups.keys()
    for name, members in [*groups.items(), ("total", lines)]:
        row = frame.row(-1, named=True) if members is lines else rows[name]
        wrong = oracle.errors(members)
        assert row["errors"] == len(wrong) == sum(row[outcome] for outcome in OUTCOMES)
        assert row["error_share"] == pytest.approx(len(wrong) / len(members))
        assert row["rate_limited"] == sum(line["status"] == 429 for line in members)
        assert row["error_cost_usd"] == oracle.usd(wrong)
        for outcome in OUTCOMES:
            assert row[outcome] == sum(line["outcome"] == outcome for line in members)
    ranks = frame.filter(part="group")["errors"].to_list()
    assert ranks == sorted(ranks, reverse=True)


def test_kinds_are_those_of_the_ledger(week: duckdb.DuckDBPyConnection, lines: Lines) -> None:
    wrong = oracle.errors(lines)
    kinds = oracle.grouped(
        wrong, lambda e: (e["provider"], e["outcome"], e["status"], e["error_type"])
    )
    frame = error_kinds(week, Selection())
    assert frame.height == len(kinds)
    assert frame["errors"].to_list() == sorted(map(len, kinds.values()), reverse=True)
    for row in frame.to_dicts():
        members = kinds[row["provider"], row["outcome"], row["status"], row["error_type"]]
        assert row["errors"] == len(members)
        assert row["share"] == pytest.approx(len(members) / len(wrong))
        assert row["users"] == len(set(oracle.known(members, "user_id")))
        assert row["cost_usd"] == oracle.usd(members)
        assert (row["first_at"], row["last_at"]) == (
            members[0]["started_at"],
            members[-1]["started_at"],
        )
        assert row["last_exchange_id"] == members[-1]["exchange_id"]


def attempt(exchange_id: str, number: int, **values: object) -> Attempt:
    return Attempt(
        exchange_id=exchange_id, number=number, started_at=AT, duration_seconds=0.5, **values
    )  # type: ignore[arg-type]


@pytest.fixture
def tried(tmp_path: Path) -> Path:
    """One exchange completed by its second attempt, one that failed twice, one long ago."""
    mended, failed, old = exchange(attempts=2), exchange(attempts=2, outcome="provider_error"), None
    old = exchange(attempts=1, outcome="provider_error", started_at=AT - timedelta(days=9))
    return fill(
        tmp_path / store.NAME,
        mended,
        failed,
        old,
        attempts=[
            attempt(mended.exchange_id, 1, upstream="a", status=529, error_type="overloaded"),
            attempt(mended.exchange_id, 2, upstream="b", status=200),
            attempt(failed.exchange_id, 1, upstream="a", status=529, error_type="overloaded"),
            attempt(failed.exchange_id, 2, upstream="a", error_type="connect_failed"),
        ],
    )


def test_retries_are_counted_and_those_that_helped(tried: Path) -> None:
    with store.read(tried) as con:
        row = failures(con, "feature", Selection()).row(-1, named=True)
    assert (row["retried"], row["recovered"], row["extra_attempts"]) == (2, 1, 2)


def test_attempts_that_failed_are_seen_though_another_completed(tried: Path) -> None:
    recent = Selection(window=Window(since=AT - timedelta(days=1)))
    with store.read(tried) as con:
        rows = failed_attempts(con, recent).to_dicts()
    assert [
        (r["upstream"], r["error_type"], r["attempts"], r["later_completed"]) for r in rows
    ] == [
        ("a", "overloaded", 2, 1),
        ("a", "connect_failed", 1, 0),
    ]
    assert rows[0]["wait_seconds"] == 1.0


def test_an_answer_that_declines_is_no_error(tmp_path: Path) -> None:
    path = fill(
        tmp_path / store.NAME,
        exchange(finish_reasons=["stop", "content_filter"]),
        exchange(finish_reasons=["SAFETY"]),
        exchange(finish_reasons=["stop"]),
        exchange(finish_reasons=None),
        exchange(outcome="refused", cost_usd=None, cost_status=None),
    )
    with store.read(path) as con:
        row = failures(con, "feature", Selection()).row(-1, named=True)
    assert (row["declined"], row["errors"], row["refused"]) == (2, 1, 1)


def test_of_no_errors_the_kinds_are_none(tmp_path: Path) -> None:
    path = fill(tmp_path / store.NAME, exchange(cost_usd=Decimal(2)))
    with store.read(path) as con:
        assert error_kinds(con, Selection()).is_empty()
        assert failures(con, "feature", Selection())["error_cost_usd"].to_list() == [None, None]
