from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from analytics.queries import Selection, before
from analytics.queries.people import people
from analytics.windows import Window
from tests.support import oracle
from tests.support.oracle import Line

Lines = list[Line]
NOW = datetime(2026, 11, 22, tzinfo=UTC)
MIDDLE = NOW - timedelta(days=3)
CHOSEN = Selection(window=Window(since=MIDDLE, until=NOW))
COLUMN = {"user": "user_id"}


@pytest.mark.parametrize("by", ["user", "feature", "provider"])
def test_windows_are_compared_as_the_ledger_has_them(
    week: duckdb.DuckDBPyConnection, lines: Lines, by: str
) -> None:
    groups = oracle.grouped(lines, COLUMN.get(by, by))
    here = oracle.grouped(oracle.between(lines, MIDDLE, NOW), COLUMN.get(by, by))
    earlier = oracle.between(lines, MIDDLE - timedelta(days=3), MIDDLE)
    prior = oracle.grouped(earlier, COLUMN.get(by, by))
    frame = people(week, by, CHOSEN, before(CHOSEN, NOW), limit=1000)
    assert set(frame["name"]) == here.keys() | prior.keys()
    whole = float(oracle.usd(oracle.between(lines, MIDDLE, NOW)) or 0)
    for row in frame.to_dicts():
        name = row["name"]
        now, then, ever = here.get(name, []), prior.get(name, []), groups[name]
        cost = oracle.usd(now) if now else Decimal(0)
        cost_before = oracle.usd(then) if then else Decimal(0)
        assert (row["first_at"], row["last_at"]) == (
            ever[0]["started_at"],
            ever[-1]["started_at"],
        )
        assert (row["exchanges"], row["exchanges_before"]) == (len(now), len(then))
        assert (row["cost_usd"], row["cost_usd_before"]) == (cost, cost_before)
        assert row["errors"] == len(oracle.errors(now))
        assert row["input_tokens"] == (oracle.tokens(now, "input") if now else 0)
        assert row["not_fully_priced"] == oracle.not_fully_priced(now)
        is_new = ever[0]["started_at"] >= MIDDLE
        assert row["state"] == ("gone" if not now else "new" if is_new else "known")
        if cost is None or cost_before is None:
            assert row["cost_change_usd"] is None
        else:
            assert row["cost_change_usd"] == cost - cost_before
        if cost is not None:
            assert row["cost_share"] == pytest.approx(float(cost) / whole)
        if cost is not None and cost_before:
            assert row["cost_change"] == pytest.approx(float(cost / cost_before - 1))
        if then:
            assert row["exchanges_change"] == pytest.approx(len(now) / len(then) - 1)
    here_by_cost = [-1 if cost is None else cost for cost in frame["cost_usd"][: len(here)]]
    assert here_by_cost == sorted(here_by_cost, reverse=True)
    assert set(frame["state"][len(here) :]) <= {"gone"}


def test_without_an_earlier_window_nothing_is_compared(week: duckdb.DuckDBPyConnection) -> None:
    frame = people(week, "feature", CHOSEN)
    for name in ("exchanges_before", "cost_usd_before", "cost_change_usd", "exchanges_change"):
        assert frame[name].null_count() == frame.height


def test_first_seen_obeys_filters_but_not_the_window(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    chosen = Selection(window=CHOSEN.window, values={"feature": ["chat"]})
    groups = oracle.grouped((e for e in lines if e["feature"] == "chat"), "user_id")
    for row in people(week, "user", chosen, sort="latest").to_dicts():
        assert row["first_at"] == groups[row["name"]][0]["started_at"]


def test_the_largest_changes_come_first_when_asked(week: duckdb.DuckDBPyConnection) -> None:
    frame = people(week, "user", CHOSEN, before(CHOSEN, NOW), sort="change", limit=10)
    changes = [abs(change) for change in frame["cost_change_usd"]]
    assert changes == sorted(changes, reverse=True)
