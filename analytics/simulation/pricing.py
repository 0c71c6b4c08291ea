"""What a replayed call costs where the rules sent it, at the prices of its time.

Owns the moment that prices are asked for. Refuses to know a price.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from analytics.prices import PriceBook
from analytics.simulation.recorded import Replayed
from proxy.facts import Usage
from proxy.limits.accounts import Now
from proxy.limits.rates import Rates

UNKNOWN_ENDS = ("tried again", "moved on")
"""What becomes of calls whose next answer nobody knows."""
_NOTHING = Decimal(0)


class Prices:
    """The price book, asked as of `now`."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self.now = datetime(2000, 1, 1, tzinfo=UTC)
        self._rates: tuple[date, Rates] | None = None

    def price(
        self, *, provider: str, model: str | None, usage: Usage, operation: str | None
    ) -> Decimal | None:
        """As the proxy asks (proxy.limits.money.Price)."""
        return self._book.cost(
            provider=provider,
            request_model=model,
            response_model=None,
            usage=usage,
            usage_source="estimated",
            service_tier=None,
            operation=operation,
            started_at=self.now,
        ).cost_usd

    def rates(self, now: Now) -> Rates:
        """Rates of that day."""
        day = now.wall.astimezone(UTC).date()
        if self._rates is None or self._rates[0] != day:
            self._rates = day, Rates(self.price)
        return self._rates[1]

    def of(self, call: Replayed) -> Decimal | None:
        """What the call costs: nothing where it was answered here, what it did cost where it
        stayed, else what the same tokens cost there; None where nobody knows."""
        row = call.row
        if call.done:
            return _NOTHING
        if row["outcome"] in ("refused", "cached") or call.effect in UNKNOWN_ENDS:
            return None  # somebody would have been asked whose answer nobody knows
        usage = call.usage if call.moved else None
        if usage is None:
            return call.paid_usd
        cost = self._book.cost(
            provider=call.provider,
            request_model=call.model,
            response_model=None,
            usage=replace(usage, cost_usd=None),
            usage_source=row["usage_source"],
            service_tier=row["service_tier"] if call.provider == row["provider"] else None,
            operation=call.operation,
            started_at=call.now,
        )
        return None if cost.cost_status == "partial" else cost.cost_usd
