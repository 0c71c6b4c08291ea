from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import duckdb
import pytest

from analytics import store
from analytics.queries import Selection
from analytics.queries.forecast import forecast, forecast_by_day
from tests.support import oracle
from tests.support.oracle import Line
from tests.support.small_store import exchange, fill

Lines = list[Line]
DAY = timedelta(days=1)
NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
Daily = Callable[[date], float]


def month_of(tmp_path: Path, daily: Daily, *, days: int, now: datetime = NOW) -> Path:
    """A store with the costs of so many whole days before now, in halves at 6 and at 18 o'clock."""
    exchanges = []
    start = datetime.combine(now.date(), datetime.min.time(), UTC)
    for number in range(-days, 1):
        for hour in (0, 6, 18):
            at = start + number * DAY + timedelta(hours=hour)
            half = Decimal(daily(at.date())) / 2 if hour else Decimal(0)
            if at < now:
                exchanges.append(exchange(started_at=at, cost_usd=half.quantize(Decimal("1e-9"))))
    return fill(tmp_path / store.NAME, *exchanges)


def test_even_days_make_an_exact_forecast(tmp_path: Path) -> None:
    path = month_of(tmp_path, lambda _: 10.0, days=40)
    with store.read(path) as con:
        row = forecast(con, Selection(), NOW).row(0, named=True)
    assert row["month"] == date(2026, 11, 1)
    assert row["spent_usd"] == Decimal(155)
    assert row["before_usd"] == Decimal(250)
    assert row["run_rate_usd"] == Decimal(10)
    assert row["days_left"] == 14.5
    assert [row[name] for name in ("forecast_usd", "low_usd", "high_usd")] == [Decimal(300)] * 3
    assert (row["method"], row["base_days"], row["not_fully_priced"]) == ("weekdays", 35, 0)


def test_weekends_are_expected_to_be_weekends(tmp_path: Path) -> None:
    def daily(day: date) -> float:
        return 2.0 if day.weekday() >= 5 else 10.0

    path = month_of(tmp_path, daily, days=40)
    whole = sum(daily(date(2026, 11, 1) + number * DAY) for number in range(30))
    with store.read(path) as con:
        row = forecast(con, Selection(), NOW).row(0, named=True)
    assert float(row["forecast_usd"]) == pytest.approx(whole, rel=0.03)
    assert row["low_usd"] < whole < row["high_usd"]


def test_days_add_up_to_the_month(tmp_path: Path) -> None:
    chance = Random(3)
    path = month_of(tmp_path, lambda _: chance.uniform(5, 15), days=30)
    with store.read(path) as con:
        row = forecast(con, Selection(), NOW).row(0, named=True)
        days = forecast_by_day(con, Selection(), NOW)
    assert days.height == 30
    last = days.row(-1, named=True)
    assert days["cost_usd"].sum() == row["spent_usd"]
    expected = days["cost_usd"].sum() + days["expected_usd"].sum()
    assert float(expected) == pytest.approx(float(row["forecast_usd"]), abs=1e-4)
    for name, of_month in (("total_usd", "forecast_usd"), ("low_usd", "low_usd")):
        assert float(last[name]) == pytest.approx(float(row[of_month]), abs=1e-4)
    assert days["cost_usd"].null_count() == 14
    assert days["expected_usd"].null_count() == 15
    assert days["total_usd"].is_sorted()


def test_growth_is_told_and_said_to_be_left_out(tmp_path: Path) -> None:
    path = month_of(tmp_path, lambda day: 12.0 if day >= date(2026, 11, 9) else 10.0, days=20)
    with store.read(path) as con:
        row = forecast(con, Selection(), NOW).row(0, named=True)
    assert row["weekly_growth"] == pytest.approx(0.2)
    assert "growth" in row["leaves_out"]


@pytest.mark.parametrize("days", [2, 13])
def test_growth_needs_two_whole_weeks(tmp_path: Path, days: int) -> None:
    path = month_of(tmp_path, lambda _: 10.0, days=days)
    with store.read(path) as con:
        assert forecast(con, Selection(), NOW)["weekly_growth"].to_list() == [None]


def test_too_short_a_history_has_no_forecast(tmp_path: Path) -> None:
    path = month_of(tmp_path, lambda _: 10.0, days=2)
    with store.read(path) as con:
        row = forecast(con, Selection(), NOW).row(0, named=True)
        days = forecast_by_day(con, Selection(), NOW)
    assert (row["spent_usd"], row["base_days"]) == (Decimal(25), 0)
    assert (row["forecast_usd"], row["low_usd"], row["method"]) == (None, None, None)
    assert days["expected_usd"].null_count() == 30


def test_a_first_day_that_began_late_is_no_whole_day(tmp_path: Path) -> None:
    began = datetime(2026, 11, 6, 18, tzinfo=UTC)
    exchanges = [exchange(started_at=began)]
    exchanges += [
        exchange(started_at=datetime(2026, 11, day, 6, tzinfo=UTC), cost_usd=Decimal(10))
        for day in range(7, 16)
    ]
    path = fill(tmp_path / store.NAME, *exchanges)
    with store.read(path) as con:
        row = forecast(con, Selection(), NOW).row(0, named=True)
    assert (row["base_days"], row["method"]) == (9, "level")
    assert row["low_usd"] == row["high_usd"] == row["forecast_usd"]


def test_an_empty_store_has_spent_nothing(tmp_path: Path) -> None:
    path = fill(tmp_path / store.NAME)
    with store.read(path) as con:
        row = forecast(con, Selection(), NOW).row(0, named=True)
    assert (row["spent_usd"], row["run_rate_usd"], row["forecast_usd"]) == (0, None, None)


def test_costs_that_are_not_known_are_counted(tmp_path: Path) -> None:
    path = fill(
        tmp_path / store.NAME,
        exchange(started_at=NOW - DAY, cost_usd=None, cost_status="unpriced"),
        exchange(started_at=NOW - 20 * DAY, cost_usd=None, cost_status="unpriced"),
    )
    with store.read(path) as con:
        assert forecast(con, Selection(), NOW)["not_fully_priced"].to_list() == [1]


def test_the_week_is_spent_as_the_ledger_says(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    now = datetime(2026, 11, 22, 9, tzinfo=UTC)
    chosen = Selection(values={"feature": ["chat"]})
    until = [e for e in lines if e["started_at"] < now and e["feature"] == "chat"]
    row = forecast(week, chosen, now).row(0, named=True)
    assert row["spent_usd"] == oracle.usd(until)
    days = forecast_by_day(week, chosen, now)
    for day, cost in days.select("day", "cost_usd").iter_rows():
        members = [e for e in until if e["started_at"].date() == day]
        assert (cost or 0) == (oracle.usd(members) or 0)
