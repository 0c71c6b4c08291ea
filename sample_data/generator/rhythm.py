"""When people work: hours of the day where they live, days of the week, and the noise of counts.

Owns the curves. Times are microseconds since the epoch; days begin at midnight UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import sqrt
from random import Random

from sample_data.generator.people import People, Person

HOUR = 3_600_000_000
DAY = 24 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# How busy each hour of the local day is, from midnight on.
_HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 16, 22, 23, 21, 15, 19, 22, 21, 18, 13, 8, 6, 5, 4, 3, 2)
_BUSY = tuple(accumulate(_HOURS))


def microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(at: int) -> datetime:
    """The same the other way."""
    return _EPOCH + timedelta(microseconds=at)


def between(chance: Random, least: int, most: int) -> int:
    """As `randint`, and twice as fast."""
    return least + int(chance.random() * (most - least + 1))


def number_of(chance: Random, mean: float) -> int:
    """A whole number around the mean, as independent arrivals scatter."""
    if mean < 8:
        return int(mean + chance.random())
    return max(0, round(chance.gauss(mean, sqrt(mean))))


def some_moment(chance: Random, day: int, person: Person | None) -> int:
    """A moment of that day (its start in microseconds), in the person's working hours mostly."""
    hour = chance.choices(range(24), cum_weights=_BUSY)[0]
    hour = (hour - (person.zone_hours if person else 0)) % 24
    return day + hour * HOUR + int(chance.random() * HOUR)


def starts(
    chance: Random, people: People, day: int, number: int, count: int
) -> list[tuple[int, Person]]:
    """When so many sessions of a day (the window's `number`th) begin, and whose they are."""
    persons = [people.pick(chance, number) for _ in range(count)]
    begun = [(some_moment(chance, day, person), person) for person in persons]
    return sorted(begun, key=lambda each: each[0])
