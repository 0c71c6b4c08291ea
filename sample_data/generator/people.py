"""The people who use the imagined product: a few who use it most, and new ones arriving.

Owns who they are, where they live and when they came. Pure and seeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from random import Random

PEOPLE = 260
_FIRST = (
    *("ana", "ben", "chen", "dora", "emil", "fatima", "goran", "hana", "ivo", "jun", "kofi"),
    *("lena", "marco", "nadia", "omar", "petra", "quinn", "rosa", "sven", "tara", "uma", "vera"),
    *("wim", "ximena", "yusuf", "zoe"),
)
_TEAMS = ("support", "operations", "sales", "finance", "growth")
_PLANS = ("free", "pro", "enterprise")
# (hours ahead of UTC, share of people)
_ZONES = {1: 50, 0: 15, -5: 20, -8: 10, 8: 5}
_NEWCOMERS = 0.35
_ALWAYS_HERE = 6
_STEEPNESS = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    user_id: str
    zone_hours: int
    weight: float
    first_day: int
    """Of the window, counted from 1; 1 for those who were there before."""
    team: str
    plan: str


class People:
    """Everyone in a window of so many days. The first is there from the start, and uses most."""

    def __init__(self, seed: int, days: int) -> None:
        chance = Random(f"people {seed}")
        self.everyone = tuple(_person(rank, days, chance) for rank in range(PEOPLE))
        self.present = cache(self._present)

    def _present(self, day: int) -> tuple[list[Person], list[float]]:
        """Those who have come until that day, and their cumulated weights."""
        here = [person for person in self.everyone if person.first_day <= day]
        return here, list(accumulate(person.weight for person in here))

    def pick(self, chance: Random, day: int) -> Person:
        here, weights = self.present(day)
        return chance.choices(here, cum_weights=weights)[0]


def _person(rank: int, days: int, chance: Random) -> Person:
    came_later = rank >= _ALWAYS_HERE and chance.random() < _NEWCOMERS
    name = _FIRST[rank % len(_FIRST)]
    return Person(
        user_id=f"{name}-{rank // len(_FIRST) + 1:02d}",
        zone_hours=chance.choices(list(_ZONES), list(_ZONES.values()))[0],
        weight=(rank + 1) ** -_STEEPNESS,
        first_day=chance.randint(2, max(2, days)) if came_later else 1,
        team=chance.choice(_TEAMS),
        plan=chance.choices(_PLANS, (6, 3, 1))[0],
    )
