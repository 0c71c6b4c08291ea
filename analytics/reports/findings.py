"""Findings: neighbouring days of one group that are out of line, and each event told once.

Owns how days become findings and which finding is an echo of another. Refuses to judge days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from analytics.reports.blame import Blame
from analytics.reports.watch import Unusual

_ECHO = 0.7
"""A finding is not told where so much of it lies in a group that is told."""
_NEAR_DAYS = 4
IN_USD = ("cost", "cost per exchange")
"""The measures that are money."""


@dataclass(slots=True, kw_only=True)
class Finding:
    """Neighbouring days of one series that are off in the same direction."""

    dimension: str
    name: str | None
    measure: str
    days: list[Unusual] = field(default_factory=list)
    blame: Blame | None = None
    seen_in: list[tuple[str, str | None]] = field(default_factory=list)
    """Where else the same days of the same groups were out of line."""

    @property
    def effect(self) -> float:
        return sum(each.effect for each in self.days)


def joined(
    dimension: str, name: str | None, measure: str, days: list[Unusual]
) -> Iterator[Finding]:
    found: Finding | None = None
    for each in days:
        near = found and (each.day - found.days[-1].day).days <= _NEAR_DAYS
        if found is None or not near or (each.score > 0) != (found.days[-1].score > 0):
            if found is not None:
                yield found
            found = Finding(dimension=dimension, name=name, measure=measure)
        found.days.append(each)
    if found is not None:
        yield found


def distinct(found: Iterable[Finding]) -> list[Finding]:
    """Without the costs per exchange of days whose costs are told anyway."""
    found = list(found)
    told = {
        (each.dimension, each.name, one.day)
        for each in found
        if each.measure == "cost"
        for one in each.days
    }
    return [
        each
        for each in found
        if each.measure != "cost per exchange"
        or not any((each.dimension, each.name, one.day) in told for one in each.days)
    ]


def without_echoes(found: list[Finding]) -> list[Finding]:
    """Each event once: what lies for the most part in a group that is told is told there.

    Costs are told of features first, errors and durations of providers.
    """
    told: list[Finding] = []
    for each in sorted(
        found, key=lambda one: (_ORDERS[one.measure].index(one.dimension), rank(one))
    ):
        source = next((one for one in told if _is_echo(each, one)), None)
        if source is None:
            told.append(each)
        else:
            source.seen_in.append((each.dimension, each.name))
    return sorted(told, key=rank)


_BY_FEATURE = ("feature", "user", "model", "provider", "everything")
_BY_PROVIDER = ("provider", "model", "feature", "user", "everything")
_ORDERS = {
    "cost": _BY_FEATURE,
    "cost per exchange": _BY_FEATURE,
    "errors": _BY_PROVIDER,
    "duration": _BY_PROVIDER,
}


def _is_echo(each: Finding, of: Finding) -> bool:
    assert each.blame is not None
    days = {one.day for one in of.days}
    return (
        each.measure == of.measure
        and each.effect * of.effect > 0
        and any(one.day in days for one in each.days)
        and any(
            (place.dimension, place.name) == (of.dimension, of.name) and place.share >= _ECHO
            for place in each.blame.where
        )
    )


def rank(each: Finding) -> tuple[Any, ...]:
    return (each.measure not in IN_USD, -abs(each.effect), each.dimension, each.name or "")
