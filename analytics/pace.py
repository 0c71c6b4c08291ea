"""The pace of spending: what a day costs, by what the last days did.

Owns the method. The last 35 whole days (UTC) each have a cost. With two weeks of them or more,
weekdays differ: each has a factor, the mean of what its days were of the week around them, pulled
towards 1 as if one more such day had been average. The level is that of the last 7 days; it is
carried on as it is, so steady growth is understated. The interval is as wide as days scatter within
their weeks, and as far as the level has drifted from week to week. It is meant to hold in 8 of 10
cases, and does where traffic wanders; it knows nothing of launches, migrations and holidays. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import sqrt
from statistics import NormalDist

BASE_DAYS = 35
LEVEL_DAYS = 7
FEWEST_DAYS = 3
FEWEST_FOR_WEEKDAYS = 14
INTERVAL = 0.8
LEAVES_OUT = "growth that goes on, launches, migrations, holidays, costs that are not known"
"""What neither the pace nor its interval can tell; shown wherever they are."""
_DAY = timedelta(days=1)
_HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a day costs: a level, factors by weekday (Monday first), and how sure that is.

    `scatter` and `drift` are standard deviations: of a day about its week, and of the change of
    the level from a day to the next. `by_hour` is the share of a day's costs in each hour.
    """

    level: float
    factors: Sequence[float]
    scatter: float
    drift: float
    by_hour: Sequence[float]
    days: int

    def expected(self, day: date) -> float:
        return self.level * self.factors[day.weekday()]

    def margin(self, days: float) -> float:
        """Half of the interval around a sum of so many days to come."""
        tail = NormalDist().inv_cdf((1 + INTERVAL) / 2)
        freedom = max(1, self.days // 4)
        wider = tail * (1 + (tail**2 + 1) / (4 * freedom))  # Student's t, nearly
        known = min(self.days, LEVEL_DAYS)
        of_days = self.scatter**2 * (days + days**2 / known)
        of_level = self.drift**2 * (days**3 + days**2 * known) / 3
        return wider * sqrt(of_days + of_level)


def pace(hours: Mapping[datetime, Decimal], first: date, today: date) -> Pace | None:
    """The pace of the whole days from `first` until yesterday; None of fewer than 3.

    `hours` are costs by the beginning of the hour, UTC.
    """
    start = max(first, today - BASE_DAYS * _DAY)
    costs = {start + number * _DAY: 0.0 for number in range((today - start).days)}
    by_hour = [0.0] * _HOURS
    for hour, cost in hours.items():
        if (day := hour.date()) in costs:
            costs[day] += float(cost)
            by_hour[hour.hour] += float(cost)
    if len(costs) < FEWEST_DAYS:
        return None
    factors = _factors(costs)
    latest = list(costs)[-LEVEL_DAYS:]
    total = sum(by_hour)
    scatter, drift = _spread([cost / factors[day.weekday()] for day, cost in costs.items()])
    return Pace(
        level=sum(costs[day] for day in latest) / sum(factors[day.weekday()] for day in latest),
        factors=factors,
        scatter=scatter,
        drift=drift,
        by_hour=[each / total if total else 1 / _HOURS for each in by_hour],
        days=len(costs),
    )


def _factors(costs: Mapping[date, float]) -> list[float]:
    days, values = list(costs), list(costs.values())
    if len(days) < FEWEST_FOR_WEEKDAYS:
        return [1.0] * 7
    parts: list[list[float]] = [[] for _ in range(7)]
    for place in range(3, len(days) - 3):
        if around := sum(values[place - 3 : place + 4]) / 7:
            parts[days[place].weekday()].append(values[place] / around)
    return [(sum(each) + 1) / (len(each) + 1) for each in parts]


def _spread(days: Sequence[float]) -> tuple[float, float]:
    """Scatter and drift of days without their weekday's factor, the latest last."""
    count = len(days) // 7
    weeks = [days[len(days) - 7 * (n + 1) : len(days) - 7 * n] for n in range(count)]
    if count < 2:
        mean = sum(days) / len(days)
        return sqrt(sum((day - mean) ** 2 for day in days) / (len(days) - 1)), 0.0
    means = [sum(week) / 7 for week in weeks]
    off = sum((day - mean) ** 2 for week, mean in zip(weeks, means, strict=True) for day in week)
    variance = off / (6 * count)
    changes = sum((a - b) ** 2 for a, b in pairwise(means)) / (count - 1)
    # Means of neighbouring weeks differ by their scatter, and by a drift of 14/3 days.
    return sqrt(variance), sqrt(max(0.0, changes - 2 * variance / 7) * 3 / 14)
