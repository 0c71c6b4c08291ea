from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from dashboard.budgets import told
from proxy.rules.settings import Rule

NOW = datetime(2026, 3, 18, 23, 30, tzinfo=UTC)  # a Wednesday


def rule(given: dict[str, object], **more: object) -> Rule:
    return Rule.model_validate({"name": "cap", "budget": {"usd": 50, **given}, **more})


@pytest.mark.parametrize(
    ("period", "zone", "since"),
    [
        ("month", "UTC", "2026-03-01T00:00:00+00:00"),
        ("week", "UTC", "2026-03-16T00:00:00+00:00"),
        ("day", "UTC", "2026-03-18T00:00:00+00:00"),
        ("day", "Europe/Berlin", "2026-03-19T00:00:00+01:00"),
    ],
)
def test_period_begins_by_the_calendar_of_the_budget(period: str, zone: str, since: str) -> None:
    (found,) = told([rule({"period": period, "zone": zone})], NOW)
    assert found.since.isoformat() == since


@pytest.mark.parametrize(
    "other",
    [
        rule({"per": "user"}),
        rule({}, when={"feature": "chat"}),
        rule({}, enabled=False),
        Rule.model_validate({"name": "again", "retry": {}}),
    ],
)
def test_what_the_store_cannot_count_is_not_told(other: Rule) -> None:
    assert told([other], NOW) == []


def test_line_says_how_much_of_it_is_spent() -> None:
    (found,) = told([rule({})], NOW)
    assert found.line(Decimal("40"), "openai") == "cap: $40.00 of $50.00 this month (80%)"
    assert found.line(None, None) == "cap: $0.00 of $50.00 this month (0%)"


def test_line_names_the_key_that_spent_most() -> None:
    (found,) = told([rule({"per": "key", "period": "day"})], NOW)
    assert found.line(Decimal("5"), "k1") == (
        "cap: $5.00 of $50.00 today (10%), most of them key k1"
    )
