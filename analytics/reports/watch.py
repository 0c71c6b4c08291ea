"""Watching the days of a group: what each measure was, should have been, and whether that is told.

Owns the measures and when a day of one is out of line. What is usual is unusual.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt
from statistics import median

from analytics.reports.unusual import HISTORY_DAYS, expected

SCORE = 4.0
"""From so many scales on a day is out of line. Iglewicz and Hoaglin advise 3.5 for one series; here
many are watched."""
LEAST_ERRORS = 8
"""Errors that a day must have beyond what was expected."""
_LEAST_TIMED = 20
_SLOWER = 1.5
_SPREAD = 1.5
"""How far the costs of single exchanges spread around their mean, as a part of it: a guess that
keeps a day of few exchanges from being called unusual."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusual:
    """One day of one series."""

    day: date
    value: float
    expected: float
    score: float
    effect: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A group's days, none left out. Where nothing was sent, counts are 0."""

    first_day: date
    exchanges: list[int]
    costed: list[int]
    cost: list[float]
    errors: list[int]
    timed: list[int]
    seconds: list[float | None]
    """The geometric mean of the durations."""


def peers_level(series: Mapping[str | None, Series]) -> float:
    """The most that an ordinary day of any of them costs: the highest of their upper quartiles."""
    return max(
        (sorted(each.cost)[len(each.cost) * 3 // 4] for each in series.values()), default=0.0
    )


def _cost(series: Series, place: int, least: float, peers: float) -> Unusual | None:
    value = series.cost[place]
    before = series.cost[max(0, place - HISTORY_DAYS) : place]
    usual = expected(series.cost, series.first_day, place)
    if usual is None or sum(each > 0 for each in before) * 2 < len(before):
        return _newcomer(series, place, value, before, least, peers)
    count = usual.value / max(_unit(series, place), 1e-12)
    noise = usual.value * _SPREAD / sqrt(max(count, 1.0))
    return _told(
        series, place, value, usual.value, usual.score(value, noise), value - usual.value, least
    )


def is_new_high(series: Series, place: int, times: float) -> bool:
    """Whether a day costs that many times its four weeks' highest."""
    before = series.cost[max(0, place - HISTORY_DAYS) : place]
    return series.cost[place] >= times * max(before, default=0.0)


def _unit(series: Series, place: int) -> float:
    """What an exchange has cost on average before."""
    start = max(0, place - HISTORY_DAYS)
    count = sum(series.costed[start:place])
    return sum(series.cost[start:place]) / count if count else 0.0


def _newcomer(
    series: Series,
    place: int,
    value: float,
    before: list[float],
    least: float,
    peers: float,
) -> Unusual | None:
    """A day of a series without a usual day."""
    own = [each for each in before if each > 0]
    if not peers or value < least or value <= peers or value <= 2 * max(own, default=0.0):
        return None
    usual = median(before) if before else 0.0
    return _told(series, place, value, usual, SCORE, value - usual, least)


def _unit_cost(series: Series, place: int, least: float, _peers: float) -> Unusual | None:
    values = [
        cost / count if count >= 10 else None
        for cost, count in zip(series.cost, series.costed, strict=True)
    ]
    value, usual = values[place], expected(values, series.first_day, place)
    if value is None or usual is None:
        return None
    count = series.costed[place]
    noise = usual.value * _SPREAD / sqrt(count)
    effect = (value - usual.value) * count
    return _told(series, place, value, usual.value, usual.score(value, noise), effect, least)


def _errors(series: Series, place: int, _least: float, _peers: float) -> Unusual | None:
    counts = zip(series.errors, series.exchanges, strict=True)
    values = [wrong / count if count else None for wrong, count in counts]
    value, usual = values[place], expected(values, series.first_day, place)
    if value is None or usual is None or value <= usual.value:
        return None
    count = series.exchanges[place]
    share = min(max(usual.value, 1 / count), 0.5)
    noise = sqrt(share * (1 - share) / count)
    more = (value - usual.value) * count
    return _told(series, place, value, usual.value, usual.score(value, noise), more, LEAST_ERRORS)


def _duration(series: Series, place: int, _least: float, _peers: float) -> Unusual | None:
    counts = zip(series.seconds, series.timed, strict=True)
    values = [value if count >= _LEAST_TIMED else None for value, count in counts]
    value, usual = values[place], expected(values, series.first_day, place)
    if value is None or usual is None or not usual.value:
        return None
    times = value / usual.value
    return _told(series, place, value, usual.value, usual.score(value), times, _SLOWER)


Judge = Callable[[Series, int, float, float], Unusual | None]
"""Of a series the day at a place; with the least effect worth telling, and what peers cost."""
JUDGES: Mapping[str, Judge] = {
    "cost": _cost,
    "cost per exchange": _unit_cost,
    "errors": _errors,
    "duration": _duration,
}


def _told(
    series: Series,
    place: int,
    value: float,
    usual: float,
    score: float,
    effect: float,
    least: float,
) -> Unusual | None:
    """The day, where it is far enough off and worth it."""
    if abs(score) < SCORE or abs(effect) < least:
        return None
    day = series.first_day + place * _DAY
    return Unusual(day=day, value=value, expected=usual, score=score, effect=effect)
