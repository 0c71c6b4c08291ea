from __future__ import annotations

from datetime import UTC, date, datetime

from analytics.windows import Window
from dashboard.filters import NONE, Filters, filters_of

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


def test_values_become_a_selection() -> None:
    state = {
        "last": "24h",
        "feature": ["chat", NONE],
        "tag": ["team=search", "team=ads", "region=eu"],
        "errors": True,
        "unrelated": "x",
    }
    selection = filters_of(state).selection(NOW)
    assert selection.window == Window(since=datetime(2026, 3, 9, 12, 30, tzinfo=UTC))
    assert selection.values == {
        "feature": ["chat", None],
        "tag:region": ["eu"],
        "tag:team": ["search", "ads"],
    }
    assert selection.errors_only


def test_custom_days_are_both_included() -> None:
    chosen = Filters(last="custom", days=(date(2026, 3, 1), date(2026, 3, 2)))
    assert chosen.window(NOW) == Window(
        since=datetime(2026, 3, 1, tzinfo=UTC), until=datetime(2026, 3, 3, tzinfo=UTC)
    )


def test_one_day_is_a_window() -> None:
    window = Filters(last="custom", days=(date(2026, 3, 1),)).window(NOW)
    assert window.until == datetime(2026, 3, 2, tzinfo=UTC)


def test_whatever_the_address_says_is_bearable() -> None:
    state = {"last": "; DROP TABLE", "days": ["x"], "feature": 7, "tag": ["=", "a", "b="]}
    filters = filters_of(state)
    assert filters.selection(NOW).window == Filters().window(NOW)
    assert filters.selection(NOW).values == {"tag:b": [""]} or filters.selection(NOW).values == {}


def test_active_filters_are_told_one_by_one() -> None:
    filters = filters_of({"feature": ["a", "b"], "tag": ["x=y"], "errors": True})
    assert list(filters.active()) == [
        ("feature", "a"),
        ("feature", "b"),
        ("tag", "x=y"),
        ("errors", "only"),
    ]
