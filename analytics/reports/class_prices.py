"""What one token of each class costs, asked of the price book.

Owns the way to learn prices per token from a book that only prices whole exchanges: it is asked
what a round number of tokens would cost. Refuses to know a price itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from analytics.prices import PriceBook
from proxy.facts import Usage

INPUT_CLASSES = ("fresh", "cache_read", "cache_write", "cache_write_1h")
"""Disjoint classes of input, in the words of the columns that reports have."""
_SOME = 1_000


class Served(NamedTuple):
    """What decides the price of a token, besides the time."""

    provider: str | None
    request_model: str | None
    response_model: str | None
    service_tier: str | None = None
    operation: str | None = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPrices:
    """Dollars for one token; None where the class has no price."""

    fresh: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    output: Decimal | None = None

    def weights(self) -> tuple[Decimal, ...]:
        """What each class of input costs against fresh input; 1 where that is not known."""
        if not self.fresh:
            return (Decimal(1),) * len(INPUT_CLASSES)
        given = (getattr(self, name) for name in INPUT_CLASSES)
        return tuple(Decimal(1) if usd is None else usd / self.fresh for usd in given)


def class_prices(
    book: PriceBook, served: Served, at: datetime, *, input_tokens: int = _SOME
) -> ClassPrices:
    """The prices at a moment, for requests with so many input tokens.

    Fees per request are not part of them.
    """
    base = _cost(book, served, at, Usage(input_tokens=0, output_tokens=0))

    def each(usage: Usage, less: Decimal | None, tokens: int) -> Decimal | None:
        usd = _cost(book, served, at, usage)
        return None if usd is None or less is None else (usd - less) / tokens

    size = input_tokens
    plain = Usage(input_tokens=size, output_tokens=0)
    read = replace(plain, cache_read_tokens=size)
    write = replace(plain, cache_write_tokens=size)
    return ClassPrices(
        fresh=each(plain, base, size),
        cache_read=each(read, base, size),
        cache_write=each(write, base, size),
        cache_write_1h=each(replace(write, cache_write_1h_tokens=size), base, size),
        output=each(
            Usage(input_tokens=size, output_tokens=_SOME),
            _cost(book, served, at, plain),
            _SOME,
        ),
    )


def _cost(book: PriceBook, served: Served, at: datetime, usage: Usage) -> Decimal | None:
    """None also where only a part has a price."""
    cost = book.cost(
        provider=served.provider or "",
        request_model=served.request_model,
        response_model=served.response_model,
        usage=usage,
        usage_source="provider",
        service_tier=served.service_tier,
        operation=served.operation,
        started_at=at,
    )
    return cost.cost_usd if cost.cost_status == "priced" else None
