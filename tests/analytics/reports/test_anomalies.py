from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from analytics.prices import PriceBook
from analytics.queries import Selection
from analytics.reports.anomalies import Anomalies, anomalies
from analytics.reports.unusual import expected
from analytics.windows import Window
from proxy.exchange import Exchange
from tests.analytics.reports.conftest import Open, Sample, exchange

MONDAY = date(2026, 11, 2)
END = datetime(2026, 11, 30, tzinfo=UTC)


def test_weekends_are_held_against_weekends() -> None:
    week = [100.0, 100.0, 100.0, 100.0, 100.0, 10.0, 10.0]
    found = expected(week * 3, MONDAY, 19)
    assert found is not None
    assert found.value == pytest.approx(10)
    assert found.score(100) > 50


def test_an_outlier_in_the_history_hides_nothing() -> None:
    values = [10.0, 11, 9, 10, 500, 10, 9, 11, 10, 10, 11, 9, 10, 10]
    found = expected([*values, 30.0], MONDAY, 14)
    assert found is not None
    assert found.value == pytest.approx(10, rel=0.15)
    assert found.score(30) > 4


def test_a_week_has_to_come_before() -> None:
    assert expected([1.0] * 7, MONDAY, 6) is None
    assert expected([1.0] * 8, MONDAY, 7) is not None


def test_days_without_a_value_are_no_history() -> None:
    assert expected([1.0, None] * 6, MONDAY, 12) is None


def month(extra: int = 0) -> Iterator[Exchange]:
    """Four weeks with ten exchanges a day; on the 24th some more of one user."""
    for day in range(28):
        at = datetime(2026, 11, 2, 12, tzinfo=UTC) + timedelta(days=day)
        for number in range(10):
            user = f"u{number}"
            yield exchange(started_at=at, feature="chat", user_id=user, input_tokens=40_000)
    at = datetime(2026, 11, 24, 15, tzinfo=UTC)
    for _ in range(extra):
        yield exchange(started_at=at, feature="agent", user_id="u3", input_tokens=40_000)


def found_in(stored: Open, *exchanges: Exchange, least: str = "0.5") -> Anomalies:
    with stored(*exchanges) as con:
        return anomalies(
            con, PriceBook(), Selection(window=Window()), END, least_usd=Decimal(least)
        )


def test_an_even_month_has_no_anomalies(stored: Open) -> None:
    found = found_in(stored, *month())
    assert found.findings.is_empty()
    assert found.first_day == date(2026, 11, 9)


def test_a_runaway_user_is_told_once_with_feature_and_cause(stored: Open) -> None:
    found = found_in(stored, *month(extra=200))
    row = found.findings.row(0, named=True)
    assert (row["dimension"], row["measure"]) == ("feature", "cost")
    assert row["first_day"] == row["last_day"] == date(2026, 11, 24)
    assert row["cause"] == "traffic"
    places = {(each["dimension"], each["name"]) for each in row["where"]}
    assert ("user", "u3") in places
    assert len(found.findings.filter(measure="cost")) == 1
    assert {"dimension": "everything", "name": None} in row["seen_in"]


def test_an_effect_below_the_least_is_not_told(stored: Open) -> None:
    assert found_in(stored, *month(extra=200), least="100").findings.is_empty()


def test_an_empty_store_has_nothing_to_tell(stored: Open) -> None:
    found = found_in(stored)
    assert found.findings.is_empty()
    assert found.first_day is None


def test_a_bad_day_of_a_provider_is_told_of_the_provider(stored: Open) -> None:
    at = datetime(2026, 11, 24, 9, tzinfo=UTC)
    failed = [
        exchange(
            started_at=at, feature="chat", outcome="provider_error", input_tokens=None, status=500
        )
        for _ in range(30)
    ]
    row = found_in(stored, *month(), *failed).findings.filter(measure="errors").row(0, named=True)
    assert (row["dimension"], row["name"]) == ("provider", "openai")
    assert row["effect_usd"] is None
    assert {"dimension": "feature", "name": "chat"} in row["seen_in"]


def test_the_day_that_is_not_over_is_not_called_low(stored: Open) -> None:
    until = datetime(2026, 11, 29, 1, tzinfo=UTC)
    exchanges = [each for each in month() if each.started_at < until]
    with stored(*exchanges) as con:
        found = anomalies(con, PriceBook(), Selection(window=Window()), until)
    assert found.findings.is_empty()


@pytest.fixture(scope="module")
def told(sample: Sample) -> Anomalies:
    end = datetime.fromisoformat(sample.ledger.window["end"])
    window = Window(since=end - timedelta(days=30))
    with sample.opened() as con:
        return anomalies(con, sample.book, Selection(window=window), end)


def test_the_planted_runaway_comes_first(sample: Sample, told: Anomalies) -> None:
    event = sample.ledger.event("runaway")
    row = told.findings.row(0, named=True)
    assert (row["dimension"], row["name"]) == ("feature", event["feature"])
    assert row["first_day"] == datetime.fromisoformat(event["starts_at"]).date()
    assert ("user", event["detail"]["user_id"]) in {
        (each["dimension"], each["name"]) for each in row["where"]
    }
    spent = sum(
        Decimal(line["cost_usd"])
        for line in sample.ledger.exchanges
        if line["event"] == "runaway" and line["cost_usd"] is not None
    )
    assert float(row["effect_usd"]) == pytest.approx(float(spent), rel=0.1)


def test_the_planted_cache_drop_is_put_down_to_the_cache(sample: Sample, told: Anomalies) -> None:
    event = sample.ledger.event("cache_drop")
    row = told.findings.filter(name=event["feature"], measure="cost").row(0, named=True)
    assert row["cause"] == "cache"
    assert row["first_day"] >= datetime.fromisoformat(event["starts_at"]).date()


def test_the_planted_bad_day_is_told_of_its_provider(sample: Sample, told: Anomalies) -> None:
    event = sample.ledger.event("bad_day")
    row = told.findings.filter(measure="duration").row(0, named=True)
    assert (row["dimension"], row["name"]) == ("provider", event["detail"]["provider"])
    assert row["first_day"] == datetime.fromisoformat(event["starts_at"]).date()
