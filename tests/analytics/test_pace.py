from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from analytics.pace import Pace, pace

DAY = timedelta(days=1)
FIRST = date(2026, 10, 1)
TODAY = FIRST + 35 * DAY


def pace_of(days: Sequence[float], *, hour: int = 12) -> Pace | None:
    """The pace of days from FIRST on, each day's cost in one hour."""
    start = datetime(2026, 10, 1, hour, tzinfo=UTC)
    hours = {start + n * DAY: Decimal(repr(cost)) for n, cost in enumerate(days)}
    return pace(hours, FIRST, FIRST + len(days) * DAY)


def steady(chance: Random) -> list[float]:
    return [chance.gauss(20, 4) for _ in range(50)]


def with_weekends(chance: Random) -> list[float]:
    quiet = [0.4 if (FIRST + n * DAY).weekday() >= 5 else 1.0 for n in range(50)]
    return [20 * each * (1 + chance.gauss(0, 0.2)) for each in quiet]


def wandering(chance: Random) -> list[float]:
    level, days = 20.0, []
    for _ in range(50):
        level *= 1 + chance.gauss(0, 0.02)
        days.append(level * (1 + chance.gauss(0, 0.2)))
    return days


@pytest.mark.parametrize("traffic", [steady, with_weekends, wandering])
@pytest.mark.parametrize("ahead", [5, 15])
def test_the_interval_holds_in_about_eight_of_ten_cases(
    traffic: Callable[[Random], list[float]], ahead: int
) -> None:
    held, trials = 0, 400
    for seed in range(trials):
        days = traffic(Random(seed))
        found = pace_of(days[:35])
        assert found is not None
        rest = sum(found.expected(TODAY + n * DAY) for n in range(ahead))
        held += abs(rest - sum(days[35 : 35 + ahead])) <= found.margin(ahead)
    assert 0.72 < held / trials < 0.9


def test_even_days_are_certain() -> None:
    found = pace_of([10.0] * 35)
    assert found is not None
    assert found.factors == pytest.approx([1.0] * 7)
    assert (found.level, found.margin(20)) == (pytest.approx(10), pytest.approx(0, abs=1e-6))


def test_a_level_that_drifts_widens_the_interval_of_far_days_most() -> None:
    chance = Random(1)
    noise = [chance.gauss(0, 1) for _ in range(35)]
    even = pace_of([20 + each for each in noise])
    rising = pace_of([20 + n + each for n, each in enumerate(noise)])
    assert even is not None
    assert rising is not None
    assert rising.drift > even.drift
    assert rising.margin(20) / even.margin(20) > rising.margin(2) / even.margin(2)


def test_few_days_have_a_level_but_no_weekdays() -> None:
    found = pace_of([10.0, 20.0, 30.0])
    assert found is not None
    assert (found.level, found.factors, found.drift) == (20.0, [1.0] * 7, 0.0)
    assert found.margin(1) > 0


def test_too_few_days_have_no_pace() -> None:
    assert pace_of([10.0, 20.0]) is None
    assert pace({}, FIRST, FIRST) is None


def test_hours_have_the_share_of_their_costs() -> None:
    found = pace_of([10.0] * 7, hour=9)
    assert found is not None
    assert found.by_hour == [float(hour == 9) for hour in range(24)]


def test_days_that_cost_nothing_have_a_pace_of_nothing() -> None:
    found = pace_of([0.0] * 35)
    assert found is not None
    assert (found.level, found.margin(10)) == (0, 0)
    assert sum(found.by_hour) == pytest.approx(1)
