from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.windows import BadWindow, Window, moment, parse

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("7d", timedelta(days=7)),
        ("24h", timedelta(hours=24)),
        ("30m", timedelta(minutes=30)),
        ("2w", timedelta(weeks=2)),
        (" 90s ", timedelta(seconds=90)),
    ],
)
def test_a_span_reaches_back_from_now_and_has_no_end(text: str, back: timedelta) -> None:
    assert parse(text, NOW) == Window(since=NOW - back)


def test_days_are_utc_days_wherever_now_is() -> None:
    tokyo = datetime(2026, 11, 25, 3, 0, tzinfo=timezone(timedelta(hours=9)))  # the 24th in UTC
    assert parse("today", tokyo) == Window(since=day("2026-11-24"), until=day("2026-11-25"))
    assert parse("yesterday", tokyo) == Window(since=day("2026-11-23"), until=day("2026-11-24"))


def test_a_single_day_is_that_whole_day() -> None:
    assert parse("2026-11-01", NOW) == Window(since=day("2026-11-01"), until=day("2026-11-02"))


def test_the_last_day_of_a_range_is_included() -> None:
    window = parse("2026-11-01..2026-11-07", NOW)
    assert window == Window(since=day("2026-11-01"), until=day("2026-11-08"))


def test_a_range_may_lack_a_side_or_name_times() -> None:
    assert parse("2026-11-01..", NOW) == Window(since=day("2026-11-01"))
    assert parse("..2026-11-01", NOW) == Window(until=day("2026-11-02"))
    window = parse("2026-11-01T10:00..2026-11-01T12:00+01:00", NOW)
    assert window == Window(since=day("2026-11-01T10:00"), until=day("2026-11-01T11:00"))
    assert parse("14d..7d", NOW) == Window(
        since=NOW - timedelta(days=14), until=NOW - timedelta(days=7)
    )


def test_all_has_no_bounds() -> None:
    assert parse("all", NOW) == Window()
    assert str(Window()) == "all time"


def test_a_window_says_what_it_is() -> None:
    text = str(parse("2026-11-01..2026-11-07", NOW))
    assert text == "since 2026-11-01 00:00 and before 2026-11-08 00:00 UTC"


@pytest.mark.parametrize(
    "text", ["", "7", "7x", "-7d", "last week", "2026-13-01", "..x", "9999-12-31"]
)
def test_what_is_no_window_is_told_with_examples(text: str) -> None:
    with pytest.raises(BadWindow, match="7d, 24h"):
        parse(text, NOW)


def test_a_range_that_ends_before_it_begins_is_told() -> None:
    with pytest.raises(BadWindow, match="ends before it begins"):
        parse("2026-11-08..2026-11-01", NOW)


def test_as_an_end_a_day_means_its_end() -> None:
    assert moment("2026-11-01", NOW) == day("2026-11-01")
    assert moment("2026-11-01", NOW, end=True) == day("2026-11-02")


@given(st.text())
def test_any_text_is_a_window_or_is_refused(text: str) -> None:
    try:
        window = parse(text, NOW)
    except BadWindow:
        return
    for bound in (window.since, window.until):
        assert bound is None or bound.tzinfo is not None
