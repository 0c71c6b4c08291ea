"""The sample's own price table, and what an exchange costs by it.

Owns a second, independent way to the costs that the store has: written down here, multiplied and
added. Refuses to use the code and the data by which the product prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from sample_data.generator.events import Events
from sample_data.generator.planned import Planned, reported


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePrice:
    """Dollars per million tokens from a UTC day on; a class without a price is None."""

    provider: str
    model: str
    input: Decimal
    output: Decimal | None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    valid_from: date | None = None
    is_override: bool = False
    """The store needs it as `[[prices]]` in its settings; no price list has it."""


def _price(
    provider: str, model: str, input_usd: str, output_usd: str | None, *cache: str
) -> SamplePrice:
    """`cache`: for reads, writes, and writes for an hour."""
    read, write, hour = (*map(Decimal, cache), None, None, None)[:3]
    return SamplePrice(
        provider=provider,
        model=model,
        input=Decimal(input_usd),
        output=None if output_usd is None else Decimal(output_usd),
        cache_read=read,
        cache_write=write,
        cache_write_1h=hour,
    )


_LISTED = (
    _price("openai", "gpt-4.1", "2", "8", "0.5"),
    _price("openai", "gpt-4o-mini", "0.15", "0.6", "0.075"),
    _price("openai", "gpt-4.1-mini", "0.4", "1.6", "0.1"),
    _price("openai", "gpt-4.1-nano", "0.1", "0.4", "0.025"),
    _price("openai", "gpt-5-mini", "0.25", "2", "0.025"),
    _price("openai", "text-embedding-3-small", "0.02", None),
    _price("anthropic", "claude-haiku-4-5", "1", "5", "0.1", "1.25", "2"),
    _price("anthropic", "claude-sonnet-4-5", "3", "15", "0.3", "3.75", "6"),
    _price("anthropic", "claude-opus-4-1", "15", "75", "1.5", "18.75", "30"),
    _price("gemini", "gemini-2.5-pro", "1.25", "10", "0.125"),
    _price("gemini", "gemini-2.5-flash", "0.3", "2.5", "0.03"),
    _price("bedrock", "openai.gpt-oss-120b-1:0", "0.15", "0.6"),
)
_BEFORE = ("0.2", "0.6")
_AFTER = ("0.3", "0.9")


def price_table(events: Events) -> tuple[SamplePrice, ...]:
    """All prices; the model whose price changes has two. House models have none."""
    changed = events.price_change.detail
    before, after = (
        SamplePrice(
            provider=changed["provider"],
            model=changed["model"],
            input=Decimal(usd[0]),
            output=Decimal(usd[1]),
            valid_from=start,
            is_override=True,
        )
        for usd, start in ((_BEFORE, None), (_AFTER, events.price_change.starts_at.date()))
    )
    return (*_LISTED, before, after)


class Expected(NamedTuple):
    """What the store has to say of the money, in dollars."""

    cost_usd: Decimal | None = None
    input_cost_usd: Decimal | None = None
    output_cost_usd: Decimal | None = None
    cost_status: str | None = None
    saved_usd: Decimal | None = None


class PriceTable:
    """The prices of a window."""

    def __init__(self, events: Events) -> None:
        self.prices = price_table(events)
        self._rates = cache(self._find)

    def expected(self, planned: Planned, at: datetime) -> Expected:
        if planned.ruled.again is not None:
            saved = self.expected(planned.ruled.again, at).cost_usd
            return Expected(_FREE, _FREE, _FREE, saved_usd=saved)
        counted, source = reported(planned)
        if counted is None:
            return _NOTHING
        model = planned.model
        rates = self._rates(model.provider, model.name, at.date())
        if rates is None:
            return _UNPRICED
        read, written = counted.cache_read or 0, counted.cache_write or 0
        hour = counted.cache_write_1h or 0
        spent = (
            ((counted.input or 0) - read - written) * rates.input
            + read * rates.cache_read
            + (written - hour) * rates.cache_write
            + hour * rates.cache_write_1h
        )
        if counted.output is None:
            return Expected(_usd(spent), _usd(spent), None, "partial")
        said = counted.output * rates.output
        status = "estimated" if source == "estimated" else "priced"
        return Expected(_usd(spent + said), _usd(spent), _usd(said), status)

    def _find(self, provider: str, model: str, day: date) -> _Rates | None:
        """The last price that holds on the day."""
        holding = [
            price
            for price in self.prices
            if (price.provider, price.model) == (provider, model)
            and (price.valid_from is None or price.valid_from <= day)
        ]
        if not holding:
            return None
        return _Rates(*(_per_token(getattr(holding[-1], name)) for name in _Rates._fields))


class _Rates(NamedTuple):
    """Picodollars per token. A class without a price is never used: see `_per_token`."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int


_NOTHING, _FREE = Expected(), Decimal(0)
_UNPRICED = Expected(cost_status="unpriced")
_ABSURD = 10**24


def _per_token(usd_per_million: Decimal | None) -> int:
    """Exact. What has no price becomes so much that no store would agree."""
    return _ABSURD if usd_per_million is None else int(usd_per_million * 10**6)


def _usd(picodollars: int) -> Decimal:
    return Decimal(picodollars).scaleb(-12)
