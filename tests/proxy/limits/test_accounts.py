"""Accounts: windows slide, periods follow the calendar, clocks may jump."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.accounts import MOST_BUCKETS, SLICES, Buckets, Calendar, Now, Sliding, Slots

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def fresh() -> Sliding:
    return Sliding(60.0)


def at(seconds: float) -> Now:
    return Now(seconds, NOON + timedelta(seconds=seconds))


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(1, 9)), max_size=40))
def test_a_window_has_all_of_the_last_seconds_and_nothing_much_older(
    steps: list[tuple[float, int]],
) -> None:
    account, moment, seen = Sliding(60.0), 1000.0, []
    for wait, amount in steps:
        moment += wait
        account.add(amount, at(moment))
        seen.append((moment, amount))
        used = account.used(at(moment))
        slack = 60.0 / SLICES
        assert used >= sum(a for t, a in seen if t > moment - 60.0 + slack)
        assert used <= sum(a for t, a in seen if t > moment - 60.0 - slack)


def test_what_is_charged_late_counts_for_when_it_was_used() -> None:
    account = Sliding(60.0)
    account.add(1, at(100.0))
    account.add(5, at(50.0))
    account.add(2, at(51.0))
    assert account.used(at(100.0)) == 8
    assert account.used(at(115.0)) == 1
    assert account.used(at(165.0)) == 0


@given(st.lists(st.floats(0, 20), min_size=1, max_size=30), st.integers(1, 30))
def test_after_the_wait_there_is_room(waits: list[float], most: int) -> None:
    account, moment = Sliding(60.0), 500.0
    for wait in waits:
        moment += wait
        account.add(1, at(moment))
    seconds = account.seconds_until(1, most, at(moment))
    later = at(moment + seconds + 0.001)
    assert account.used(later) + 1 <= most
    assert 0 <= seconds <= 60.0 + 60.0 / SLICES


@pytest.mark.parametrize(
    ("period", "zone", "wall", "start", "following"),
    [
        ("day", "UTC", NOON, "2026-11-24", "2026-11-25T00:00:00+00:00"),
        ("week", "UTC", NOON, "2026-11-23", "2026-11-30T00:00:00+00:00"),
        ("month", "UTC", NOON, "2026-11-01", "2026-12-01T00:00:00+00:00"),
        (
            "day",
            "America/New_York",
            datetime(2026, 11, 1, 4, 30, tzinfo=UTC),
            "2026-11-01",
            "2026-11-02T00:00:00-05:00",
        ),
        (
            "month",
            "Europe/Vienna",
            datetime(2026, 11, 30, 23, 30, tzinfo=UTC),
            "2026-12-01",
            "2027-01-01T00:00:00+01:00",
        ),
    ],
)
def test_periods_follow_the_calendar_of_their_zone(
    period: str, zone: str, wall: datetime, start: str, following: str
) -> None:
    account = Calendar(period, ZoneInfo(zone))  # type: ignore[arg-type]
    assert account.start(wall).isoformat() == start
    assert account.next_start(wall).isoformat() == following


def test_a_clock_that_jumps_there_and_back_resets_nothing() -> None:
    account = Calendar("day", ZoneInfo("UTC"))
    account.add(Decimal(5), at(0))
    account.add(Decimal(1), at(86_400))
    assert account.used(at(0)) == 5
    account.add(Decimal(2), at(0))
    assert (account.used(at(0)), account.used(at(86_400))) == (7, 1)


def test_slots_use_nothing() -> None:
    slots = Slots(held=3)
    slots.add(1, at(0))
    assert (slots.used(at(0)), slots.held) == (0, 3)


def test_buckets_are_bounded_and_none_escapes() -> None:
    buckets = Buckets()
    for number in range(MOST_BUCKETS + 10):
        buckets.of(f"user {number}", fresh, at(0)).add(1, at(0))
    over = buckets.of("one more", fresh, at(0))
    assert over is buckets.of("another", fresh, at(0))
    assert over.used(at(0)) == 10
    later = at(200)
    assert buckets.of("fresh", fresh, later).used(later) == 0
    assert len(list(buckets)) == 1


def test_full_buckets_are_not_looked_through_for_each_call() -> None:
    looked = []

    class Counting(Sliding):
        def used(self, now: Now) -> int:
            looked.append(now)
            return 1

    buckets = Buckets()
    for number in range(MOST_BUCKETS + 100):
        buckets.of(f"user {number}", lambda: Counting(60.0), at(number / 10_000))
    assert len(looked) <= MOST_BUCKETS
