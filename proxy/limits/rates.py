"""Rates for what is held before a call: quick, and close to what it will cost.

Owns prices by the token, asked for once in a while and not for each call. What a call really cost
is asked for when it has ended, with its tiers and classes.
"""

from __future__ import annotations

import time
from decimal import Decimal

from proxy.facts import Usage
from proxy.limits.money import Price

SAMPLE_TOKENS = 1000
KEEP_SECONDS = 600.0
MOST = 10_000
Rate = tuple[Decimal, Decimal] | None


class Rates:
    """Prices a token in and a token out, by provider, model and operation."""

    def __init__(self, price: Price) -> None:
        self._price = price
        self._known: dict[tuple[str, str | None, str | None], tuple[float, Rate]] = {}

    def expected(
        self, provider: str, model: str | None, operation: str | None, given: int, made: int
    ) -> Decimal | None:
        """About what so many tokens in and out cost; None where there is no price."""
        key = provider, model, operation
        now = time.monotonic()
        asked_at, rate = self._known.get(key, (now - KEEP_SECONDS, None))
        if asked_at <= now - KEEP_SECONDS:
            if len(self._known) >= MOST:
                self._known.clear()
            rate = self._rate(*key)
            self._known[key] = now, rate
        return None if rate is None else rate[0] * given + rate[1] * made

    def _rate(self, provider: str, model: str | None, operation: str | None) -> Rate:
        found = []
        for usage in (
            Usage(input_tokens=SAMPLE_TOKENS, output_tokens=0),
            Usage(input_tokens=0, output_tokens=SAMPLE_TOKENS),
        ):
            cost = self._price(provider=provider, model=model, usage=usage, operation=operation)
            found.append(None if cost is None else cost / SAMPLE_TOKENS)
        given, made = found
        return None if given is None or made is None else (given, made)
