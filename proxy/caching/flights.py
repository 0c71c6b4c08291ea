"""Flights: equal requests under way, of which one is asked and the others may wait for its answer.

Owns who goes first and what becomes of those that wait: they look again where its answer was kept;
one of them goes next where its client has left; all go themselves where it came to nothing. Refuses
to hold anybody for longer than the rule says, counted from when the first one went.
"""

from __future__ import annotations

import asyncio
import time
from enum import Enum, auto


class End(Enum):
    """What became of a flight."""

    KEPT = auto()
    LEFT = auto()
    """Its client did not wait for it: that says nothing of the answer."""
    NOTHING = auto()
    """There is no answer to be given again."""


class Flight:
    """One request on its way. Whoever begins it ends it, once; later ends count for nothing."""

    def __init__(self, flights: Flights, key: bytes, exchange_id: str) -> None:
        self._flights = flights
        self._key = key
        self._ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.exchange_id = exchange_id
        self.began = time.monotonic()

    def end(self, end: End) -> None:
        if self._ended.done():
            return
        self._flights.landed(self._key, self)
        self._ended.set_result(end)

    async def wait(self, seconds: float) -> End | None:
        """Its end; None where that does not come in time."""
        done, _ = await asyncio.wait({self._ended}, timeout=seconds)
        return self._ended.result() if done else None


class Flights:
    """The flights of one rule, by the key of their request."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, Flight] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def find(self, key: bytes) -> Flight | None:
        return self._under_way.get(key)

    def begin(self, key: bytes, exchange_id: str) -> Flight:
        """A flight; others wait for it, unless one with the same key is under way already."""
        flight = Flight(self, key, exchange_id)
        self._under_way.setdefault(key, flight)
        return flight

    def landed(self, key: bytes, flight: Flight) -> None:
        if self._under_way.get(key) is flight:
            del self._under_way[key]
