"""The plan: every exchange of the sample window, in order of time.

Owns the window and the division into features and days. Pure and seeded: the same seed, end,
days and scale give the same plan, whatever day it is. Refuses to make bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from random import Random

from sample_data.generator import sessions
from sample_data.generator.agents import agent, runaway
from sample_data.generator.events import Events, planted
from sample_data.generator.features import FEATURES, Feature
from sample_data.generator.people import People
from sample_data.generator.planned import Planned
from sample_data.generator.rhythm import microseconds, number_of
from sample_data.generator.ruled import ruled
from sample_data.generator.sending import Sender, Warmth

_DAY = timedelta(days=1)
_UNFOLD = {
    "single": sessions.single,
    "conversation": sessions.conversation,
    "agent": agent,
    "nightly": sessions.nightly,
    "embeddings": sessions.embeddings,
    "ruled": ruled,
}
_RUNAWAY = 4
"""The person whose agent runs away: one who is there from the start, and spends little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """So many UTC days; the last is that in which `end` lies, which is where everything ends."""

    end: datetime
    days: int = 30
    seed: int = 7
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.end.tzinfo is None:
            raise ValueError("the end of the window needs a time zone")
        if self.days < 1 or self.scale <= 0:
            raise ValueError("a window has one day at least, and a scale above 0")

    @property
    def first_day(self) -> datetime:
        last = (self.end.astimezone(UTC) - timedelta(microseconds=1)).date()
        return datetime.combine(last - (self.days - 1) * _DAY, time(), UTC)


@lru_cache(maxsize=16)
def events_of(window: Window) -> Events:
    runaway_user = _people(window).everyone[_RUNAWAY].user_id
    return planted(window.first_day, window.days, runaway_user)


@lru_cache(maxsize=16)
def _people(window: Window) -> People:
    return People(window.seed, window.days)


def plan(window: Window) -> Iterator[Planned]:
    """All exchanges, day by day in order of their beginning."""
    for number in range(1, window.days + 1):
        yield from plan_day(window, number)


def plan_day(window: Window, number: int) -> list[Planned]:
    """Those of sessions that begin on the window's `number`th day; no other day matters."""
    events, people, last = events_of(window), _people(window), microseconds(window.end)
    made: list[Planned] = []
    for feature in FEATURES:
        chance = Random(f"{window.seed} {feature.name} {number}")
        sender = Sender(chance, feature, events, Warmth(), made)
        _plan_day(sender, window, people, number)
    made.sort(key=lambda each: (each.started_at, each.exchange_id))
    return [each for each in made if _end(each) < last]


def _plan_day(sender: Sender, window: Window, people: People, number: int) -> None:
    day = window.first_day + (number - 1) * _DAY
    feature, events, chance = sender.feature, sender.events, sender.chance
    mean = events.sessions(feature, day) * window.scale * _weekday(feature, day)
    _UNFOLD[feature.kind](sender, people, microseconds(day), number, number_of(chance, mean))
    starts = events.runaway.starts_at
    if feature.name == events.runaway.feature and day <= starts < day + _DAY:
        runaway(sender, people.everyone[_RUNAWAY], microseconds(starts))


def _weekday(feature: Feature, day: datetime) -> float:
    return feature.weekend if day.weekday() >= 5 else 1.0


def _end(each: Planned) -> int:
    return each.started_at + round(each.duration_seconds * 1e6)
