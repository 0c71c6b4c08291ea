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
from tests.support import oracle
from tests.support.oracle import Line

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


def arm_of(line: Line) -> tuple[str, str] | None:
    """The rule and where it sent the call."""
    for decided in line["decisions"]:
        if decided["policy"] == "balance":
            return decided["rule"], decided["action"].removeprefix("sent to ")
    return None


def by_arm(lines: list[Line]) -> dict[Any, list[Line]]:
    return oracle.grouped((line for line in lines if arm_of(line)), arm_of)


def cost_of_one(members: list[Line]) -> Decimal | None:
    known = oracle.known(members, "cost_usd")
    whole = oracle.usd(members)
    return None if whole is None else round(whole / len(known), 12)


SINCE_FRIDAY = Window(since=datetime(2026, 11, 20, tzinfo=UTC))


@pytest.mark.parametrize("window", [Window(), SINCE_FRIDAY], ids=["week", "since Friday"])
def test_the_arms_of_the_week_are_those_of_the_ledger(
    whole_week: duckdb.DuckDBPyConnection, lines: list[Line], window: Window
) -> None:
    inside = [line for line in lines if window.since is None or line["started_at"] >= window.since]
    groups = by_arm(inside)
    found = arms(whole_week, Selection(window=window)).to_dicts()
    order = sorted(groups, key=lambda arm: (arm[0], -len(groups[arm]), arm[1]))
    assert [(row["rule"], row["arm"]) for row in found] == order
    assert len(order) == 2
    for row, arm in zip(found, order, strict=True):
        members = groups[arm]
        rule = [line for name, those in groups.items() if name[0] == arm[0] for line in those]
        wrong, whole = oracle.errors(members), [x for x in members if x["outcome"] == "completed"]
        assert row["exchanges"] == len(members)
        assert row["share"] == pytest.approx(len(members) / len(rule))
        assert row["sessions"] == len(set(oracle.known(members, "session_id")))
        assert row["users"] == len(set(oracle.known(members, "user_id")))
        assert (row["errors"], row["error_share"]) == (len(wrong), len(wrong) / len(members))
        assert row["cost_usd"] == oracle.usd(members)
        assert row["cost_per_exchange_usd"] == pytest.approx(cost_of_one(members))
        for name in ("input", "output"):
            counts = [x["tokens"][name] for x in members if x["tokens"].get(name) is not None]
            assert row[f"{name}_tokens"] == pytest.approx(oracle.mean(counts))
        cached, read = oracle.tokens(members, "cache_read"), oracle.tokens(members, "input")
        assert row["cached_share"] == (cached or 0) / (read or 1)
        seconds = oracle.known(whole, "duration_seconds")
        assert row["p50_seconds"] == pytest.approx(oracle.percentile(seconds, 50))
        assert row["p95_seconds"] == pytest.approx(oracle.percentile(seconds, 95))
        first = oracle.known(whole, "time_to_first_chunk_seconds")
        assert row["p50_first_chunk_seconds"] == pytest.approx(oracle.percentile(first, 50))
        began = [line["started_at"] for line in members]
        assert (row["since"], row["last_at"]) == (min(began), max(began))


def test_the_arms_of_each_day_are_those_of_the_ledger(
    whole_week: duckdb.DuckDBPyConnection, lines: list[Line]
) -> None:
    groups = {
        (rule, day, arm): members
        for (rule, arm), sent_there in by_arm(lines).items()
        for day, members in oracle.grouped(sent_there, lambda x: x["started_at"].date()).items()
    }
    found = arms_by_day(whole_week, Selection()).to_dicts()
    assert [(row["rule"], row["day"], row["arm"]) for row in found] == sorted(groups)
    for row in found:
        members = groups[row["rule"], row["day"], row["arm"]]
        assert row["exchanges"] == len(members)
        assert row["error_share"] == len(oracle.errors(members)) / len(members)
        assert row["cost_per_exchange_usd"] == pytest.approx(cost_of_one(members))
        whole = [line for line in members if line["outcome"] == "completed"]
        seconds = oracle.known(whole, "duration_seconds")
        assert row["p50_seconds"] == pytest.approx(oracle.percentile(seconds, 50))
