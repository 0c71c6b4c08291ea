"""Rates: what tokens cost, without asking the price list for each call.

Owns prices by the call and by the token, asked for once in a while, and the check that nothing else
counts: where a price has steps, the price list is asked.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import NamedTuple

from proxy.facts import Usage
from proxy.limits.money import Price
from proxy.limits.plain_usage import PlainUsage

SAMPLE_TOKENS = 1000
LARGE_TOKENS = (4_000_000, 100_000)
"""Rates hold up to the first of these at which they give the price that the list has."""
KEEP_SECONDS = 60.0
MOST = 10_000
Key = tuple[str, str | None, str | None]


class Rate(NamedTuple):
    """USD a call and a token. `up_to` so many tokens in or out the price is exactly that."""

    up_to: int
    call: Decimal
    given: Decimal
    cached: Decimal
    made: Decimal
    reasoning: Decimal

    def cost(self, given: int, cached: int, made: int, reasoning: int) -> Decimal:
        fresh, said = given - cached, made - reasoning
        total = self.call + self.given * fresh + self.made * said
        if cached or reasoning:
            total += self.cached * cached + self.reasoning * reasoning
        return total


class Rates:
    """Prices by provider, model and operation. Without a price list nothing has a price."""

    def __init__(self, price: Price | None) -> None:
        self._price = price
        self._known: dict[Key, tuple[float, Rate | None]] = {}

    def expected(
        self, provider: str, model: str | None, operation: str | None, given: int, made: int
    ) -> Decimal | None:
        """About what so many tokens in and out cost; None where there is no price."""
        rate = self._rate((provider, model, operation))
        return None if rate is None else rate.call + rate.given * given + rate.made * made

    def plain(
        self, provider: str, model: str | None, operation: str | None, used: PlainUsage
    ) -> Decimal | None:
        """What it costs; None where only `exact` knows."""
        rate = self._rate((provider, model, operation))
        if rate is None or max(1, used.given, used.made) > rate.up_to:
            return None
        return rate.cost(used.given, used.cached, used.made, used.reasoning)

    def exact(
        self, provider: str, model: str | None, operation: str | None, usage: Usage
    ) -> Decimal | None:
        """What the price list says."""
        if self._price is None:
            return None
        return self._price(provider=provider, model=model, usage=usage, operation=operation)

    def _rate(self, key: Key) -> Rate | None:
        now = time.monotonic()
        known = self._known.get(key)
        if known is not None and now - known[0] < KEEP_SECONDS:
            return known[1]
        if len(self._known) >= MOST:
            self._known.clear()
        rate = self._sampled(key)
        self._known[key] = now, rate
        return rate

    def _sampled(self, key: Key) -> Rate | None:
        n = SAMPLE_TOKENS
        given, made = self._listed(key, n, 0, 0, 0), self._listed(key, 0, 0, n, 0)
        if given is None or made is None:
            return None
        cached, reasoning = self._listed(key, n, n, 0, 0), self._listed(key, 0, 0, n, n)
        call = self._listed(key, 0, 0, 0, 0) or Decimal(0)
        prices = (given, cached or given, made, reasoning or made)
        rate = Rate(0, call, *((price - call) / n for price in prices))
        if cached is None or reasoning is None:
            return rate  # good enough to hold something; what it used, the price list knows
        for large in LARGE_TOKENS:
            mixed = large, large // 4, large // 2, large // 8
            if self._listed(key, *mixed) == rate.cost(*mixed):
                return rate._replace(up_to=large)
        return rate

    def _listed(
        self, key: Key, given: int, cached: int, made: int, reasoning: int
    ) -> Decimal | None:
        usage = Usage(
            input_tokens=given,
            cache_read_tokens=cached,
            output_tokens=made,
            reasoning_tokens=reasoning,
        )
        return self.exact(*key, usage)
