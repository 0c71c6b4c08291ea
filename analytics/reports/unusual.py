"""What a day should have been, from the days before it, and how far off it was.

Owns the statistics: medians and median deviations, so that earlier outliers hide nothing, and a
rhythm of weekdays. Pure: numbers in, numbers out. Refuses to know what is measured.

The expectation for a day: each value of the last 28 days is divided by the factor of its weekday
(the median of that weekday against the median of all; of weekends and workdays where a weekday was
seen less than three times). The level is the median of the last 14 quotients, the expectation the
level times the factor of the day. The scale is 1.4826 times the median deviation of the quotients
from the level, and never less than a tenth of the expectation or than the noise that the caller
knows of. The score is the distance in scales.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import chain
from statistics import median
from typing import NamedTuple

HISTORY_DAYS = 28
_LEVEL_DAYS = 14
_FEWEST_DAYS = 7
_TO_DEVIATION = 1.4826
"""What makes a median deviation comparable with a standard deviation (of normal values)."""
_LEAST_SCALE = 0.1


class Expected(NamedTuple):
    """What a day should have been. `days` of history it rests on."""

    value: float
    scale: float
    days: int

    def score(self, value: float, noise: float = 0.0) -> float:
        """How many scales a value lies above what was expected."""
        scale = max(self.scale, noise)
        if scale > 0:
            return (value - self.value) / scale
        return 0.0 if value == self.value else float("inf") * (1 if value > self.value else -1)


def expected(values: Sequence[float | None], first_day: date, place: int) -> Expected | None:
    """The expectation for the value at `place`, None where too few days come before it.

    `values` are those of consecutive days from `first_day` on, None where there is none.
    """
    start = max(0, place - HISTORY_DAYS)
    weekday = first_day.weekday()
    history = [
        ((weekday + number) % 7, value)
        for number in range(start, place)
        if (value := values[number]) is not None
    ]
    if len(history) < _FEWEST_DAYS:
        return None
    factors = _factors(history)
    quotients = [value / factors[day] for day, value in history if factors[day]]
    if not quotients:
        return Expected(0.0, 0.0, len(history))
    level = median(quotients[-_LEVEL_DAYS:])
    deviation = median(abs(each - level) for each in quotients)
    factor = factors[(weekday + place) % 7]
    value = level * factor
    scale = max(_TO_DEVIATION * deviation * factor, _LEAST_SCALE * abs(value))
    return Expected(value, scale, len(history))


def _factors(history: Sequence[tuple[int, float]]) -> list[float]:
    """Of each weekday, Monday first."""
    whole = median(value for _, value in history)
    if not whole:
        return [1.0] * 7
    of_day: list[list[float]] = [[] for _ in range(7)]
    for day, value in history:
        of_day[day].append(value)
    alike = [_median(chain(*days), 2, whole) for days in (of_day[:5], of_day[5:])]
    every = [_median(own, 3, alike[day >= 5]) for day, own in enumerate(of_day)]
    return [each / whole for each in every]


def _median(values: Iterable[float], fewest: int, instead: float) -> float:
    """Of that many values at least."""
    known = sorted(values)
    return median(known) if len(known) >= fewest else instead
