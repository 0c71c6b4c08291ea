from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from analytics.prices import PriceBook
from analytics.queries import Selection, UnknownDimension
from analytics.reports import change as module
from analytics.reports.change import Change, WindowsOverlap, change
from analytics.reports.split import CAUSES
from analytics.windows import Window
from tests.analytics.reports.conftest import AT, Open, Sample, exchange

WEEK = timedelta(days=7)
NOW = Window(since=AT - WEEK, until=AT + timedelta(seconds=1))
BEFORE = Window(since=AT - 2 * WEEK, until=AT - WEEK)
EARLIER = AT - timedelta(days=10)


def compared(con: Any, **more: Any) -> Change:
    return change(con, PriceBook(), Selection(window=NOW), BEFORE, **more)


def group(found: Change, name: str | None) -> dict[str, Any]:
    return found.groups.filter(pl.col("name").eq_missing(name), part="group").row(0, named=True)


def assert_exact(found: Change) -> None:
    """Whatever is shown adds up to the last digit."""
    total = found.groups.row(-1, named=True)
    parts = found.groups.filter(pl.col("part") != "total")
    for name in (*(f"{cause}_usd" for cause in CAUSES), "change_usd", "cost_usd"):
        assert parts[name].sum() == total[name]
    for row in found.groups.iter_rows(named=True):
        assert sum(row[f"{cause}_usd"] for cause in CAUSES) == row["change_usd"]
        assert row["cost_usd"] - row["cost_usd_before"] == row["change_usd"]
    assert found.summary["usd"][:-1].sum() == found.summary["usd"][-1] == total["change_usd"]


def test_new_and_vanished_features_are_traffic(stored: Open) -> None:
    with stored(exchange(feature="new"), exchange(feature="old", started_at=EARLIER)) as con:
        found = compared(con)
    assert (group(found, "new")["state"], group(found, "old")["state"]) == ("new", "gone")
    assert group(found, "new")["traffic_usd"] == Decimal("0.0035")
    assert group(found, "old")["traffic_usd"] == Decimal("-0.0035")
    assert_exact(found)


def test_a_longer_prompt_names_the_model_and_its_tokens(stored: Open) -> None:
    old = exchange(feature="chat", started_at=EARLIER)
    with stored(old, exchange(feature="chat", input_tokens=3000)) as con:
        found = compared(con)
    driver = found.drivers.row(0, named=True)
    assert (driver["name"], driver["cause"]) == ("chat", "input_length")
    assert (driver["model"], driver["before"], driver["after"]) == ("openai/gpt-4o", 1000, 3000)
    assert driver["usd"] == Decimal("0.005")
    assert_exact(found)


def test_exchanges_without_feature_are_a_group(stored: Open) -> None:
    with stored(exchange(feature=None), exchange(feature=None, started_at=EARLIER)) as con:
        found = compared(con)
    assert group(found, None)["change_usd"] == 0
    assert found.drivers.is_empty()


def test_what_a_cache_reads_is_known_from_list_prices(stored: Open) -> None:
    """gpt-4o reads cached input at half price."""
    cached = exchange(
        cache_read_tokens=1000,
        cost_usd=Decimal("0.00225"),
        input_cost_usd=Decimal("0.00125"),
        output_cost_usd=Decimal("0.001"),
    )
    with stored(exchange(started_at=EARLIER, cache_read_tokens=0), cached) as con:
        found = compared(con)
    assert group(found, None)["cache_usd"] == Decimal("-0.00125")
    assert group(found, None)["price_usd"] == 0


def test_one_reported_cost_is_divided_as_list_prices_divide(stored: Open) -> None:
    given: dict[str, Any] = {"cost_status": "provider_reported"}
    old = exchange(started_at=EARLIER, cost_usd=Decimal("0.007"), **given)
    with stored(old, exchange(cost_usd=Decimal("0.014"), **given)) as con:
        found = compared(con)
    assert group(found, None)["price_usd"] == Decimal("0.007")
    assert group(found, None)["other_usd"] == 0


def test_a_reported_cost_of_an_unknown_model_is_other(stored: Open) -> None:
    given: dict[str, Any] = {"cost_status": "provider_reported", "request_model": "house-model"}
    old = exchange(started_at=EARLIER, cost_usd=Decimal("0.01"), **given)
    with stored(old, exchange(cost_usd=Decimal("0.03"), **given)) as con:
        found = compared(con)
    assert group(found, None)["other_usd"] == Decimal("0.02")
    assert_exact(found)


def test_what_has_no_price_is_told_and_left_out(stored: Open) -> None:
    unpriced = exchange(cost_usd=None, cost_status="unpriced", request_model="house-model")
    with stored(exchange(started_at=EARLIER), unpriced, exchange(cost_status="estimated")) as con:
        found = compared(con)
    after = found.coverage.row(1, named=True)
    assert (after["exchanges"], after["costed"], after["unpriced"]) == (2, 1, 1)
    assert (after["unpriced_tokens"], after["estimated"]) == (1100, 1)
    assert after["estimated_usd"] == Decimal("0.0035")
    assert found.groups.row(-1, named=True)["change_usd"] == 0


def test_the_smallest_groups_are_compared_as_one(
    stored: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GROUPS", 2)
    users = [exchange(user_id=f"u{n}", input_tokens=1000 * n) for n in range(1, 6)]
    with stored(*users) as con:
        found = compared(con, by="user")
    assert found.groups["part"].to_list() == ["group", "group", "rest", "total"]
    assert set(found.groups["name"][:2]) == {"u5", "u4"}
    assert_exact(found)


def test_windows_that_overlap_are_refused(stored: Open) -> None:
    with stored(exchange()) as con, pytest.raises(WindowsOverlap):
        change(con, PriceBook(), Selection(window=NOW), Window(since=AT - timedelta(days=8)))


def test_an_unknown_dimension_is_refused(stored: Open) -> None:
    with stored(exchange()) as con, pytest.raises(UnknownDimension):
        compared(con, by="team")


def test_empty_windows_have_a_total_of_nothing(stored: Open) -> None:
    with stored(exchange(started_at=AT - timedelta(days=90))) as con:
        found = compared(con)
    assert found.groups["part"].to_list() == ["total"]
    assert found.summary["usd"].to_list() == [0] * 8
    assert found.coverage["exchanges"].to_list() == [0, 0]


@pytest.fixture(scope="module")
def month(sample: Sample) -> Change:
    """The last ten days against the first ten."""
    start = sample.first_day
    first = Window(since=start, until=start + timedelta(days=10))
    last = Window(since=start + timedelta(days=20), until=start + timedelta(days=30))
    with sample.opened() as con:
        return change(con, sample.book, Selection(window=last), first, limit=20)


def test_costs_are_those_of_the_ledger(sample: Sample, month: Change) -> None:
    sums: dict[tuple[str | None, bool], Decimal] = {}
    for line in sample.ledger.exchanges:
        day = (datetime.fromisoformat(line["started_at"]) - sample.first_day).days
        if line["cost_usd"] is not None and not 10 <= day < 20:
            key = line["feature"], day >= 20
            sums[key] = sums.get(key, Decimal(0)) + Decimal(line["cost_usd"])
    for (feature, is_after), usd in sums.items():
        row = group(month, feature)
        assert row["cost_usd" if is_after else "cost_usd_before"] == usd
    assert_exact(month)


def test_the_planted_events_are_the_drivers(sample: Sample, month: Change) -> None:
    named = set(month.drivers.select("name", "cause").rows())
    events = sample.ledger.event
    assert (events("cache_drop")["feature"], "cache") in named
    assert (events("migration")["feature"], "mix") in named
    assert (events("growth")["feature"], "traffic") in named
    assert (events("runaway")["feature"], "traffic") in named
    assert (events("prompt_change")["feature"], "input_length") in named
    assert (events("price_change")["feature"], "price") in named


def test_a_price_change_is_worth_what_the_ledgers_prices_say(sample: Sample, month: Change) -> None:
    """It is worth most in the window with more traffic, and least in the other."""
    event = sample.ledger.event("price_change")
    feature, factor = event["feature"], Decimal(str(event["detail"]["factor"]))
    row = group(month, feature)
    cheap_after = row["cost_usd"] / factor
    least, most = sorted((row["cost_usd"] - cheap_after, row["cost_usd_before"] * (factor - 1)))
    assert least <= row["price_usd"] <= most
    driver = month.drivers.filter(name=feature, cause="price").row(0, named=True)
    assert driver["after"] / driver["before"] == pytest.approx(float(factor))


def test_a_migration_names_both_models_shares(sample: Sample, month: Change) -> None:
    event = sample.ledger.event("migration")
    driver = month.drivers.filter(name=event["feature"], cause="mix").row(0, named=True)
    assert driver["usd"] < 0
    assert {driver["before"], driver["after"]} == {0.0, 1.0}


def test_the_order_of_windows_only_turns_the_sign(sample: Sample, month: Change) -> None:
    with sample.opened() as con:
        back = change(con, sample.book, Selection(window=month.before), month.after, limit=20)
    assert back.summary["usd"][-1] == -month.summary["usd"][-1]
    for cause, there, here in zip(
        CAUSES, month.summary["usd"][:-1], back.summary["usd"][:-1], strict=True
    ):
        assert abs(there + here) <= Decimal("1e-10"), cause
