"""One exchange cut into charges: what each class of usage cost.

Owns the split. The stored cost is the truth: the charges of an exchange add up to it exactly.
Today's prices only say in which proportion the classes share it, and where they give the stored
cost again, the unit prices are the listed ones. Refuses to split by a guess: without prices for
every class, a side of the exchange, or the whole, stays one charge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from functools import lru_cache
from typing import Any

from analytics.prices import PriceBook
from analytics.pricing.counts import INPUT_CLASSES, OUTPUT_CLASSES, SEARCH, count
from analytics.usage_columns import from_columns
from proxy.facts import Usage

INPUT, OUTPUT, REQUEST = "all_input", "all_output", "request"
"""Charges that could not be cut further."""
PICODOLLAR = Decimal("1e-12")
_PROBE = 1_000
"""Few enough tokens to stay below every step of a price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """`meter` is a class of usage or one of INPUT, OUTPUT, REQUEST; `quantity` counts tokens,
    searches or requests; `listed`: its unit price is the listed one."""

    meter: str
    quantity: int
    cost_usd: Decimal
    listed: bool


class Splitter:
    """Cuts stored rows into charges."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._unit = lru_cache(maxsize=16_384)(self._unit_price)

    def charges(self, row: Mapping[str, Any]) -> list[Charge]:
        """The charges of a row of exchanges; none where its cost is not known."""
        whole: Decimal | None = row["cost_usd"]
        usage = from_columns(row)
        if whole is None:
            return []
        if usage is None:
            return [_request(whole)]
        counts = count(usage)
        inputs = dict(counts.input)
        if counts.searches:
            inputs[SEARCH] = counts.searches
        sides = _sides(row, whole)
        if sides is None:
            split = self._split(row, {**inputs, **counts.output}, whole)
            return split or [_request(whole)]
        input_usd, output_usd = sides
        return [
            *self._side(row, inputs, input_usd, INPUT, usage.input_tokens),
            *self._side(row, counts.output, output_usd, OUTPUT, usage.output_tokens),
        ]

    def _side(
        self,
        row: Mapping[str, Any],
        quantities: Mapping[str, int],
        cost: Decimal | None,
        whole_meter: str,
        tokens: int | None,
    ) -> list[Charge]:
        if cost is None:
            return []
        if split := self._split(row, quantities, cost):
            return split
        if not tokens:
            return [] if cost == 0 else [_request(cost)]
        return [Charge(meter=whole_meter, quantity=tokens, cost_usd=cost, listed=False)]

    def _split(
        self, row: Mapping[str, Any], quantities: Mapping[str, int], cost: Decimal
    ) -> list[Charge]:
        """In proportion to today's prices; empty where they do not cover every class."""
        units = [self._price(row, name) for name in quantities]
        listed = [
            None if unit is None else unit * quantity
            for unit, quantity in zip(units, quantities.values(), strict=True)
        ]
        if row["cost_status"] == "partial":  # what has no price is not in the cost
            priced = [name for name, usd in zip(quantities, listed, strict=True) if usd is not None]
            quantities = {name: quantities[name] for name in priced}
            listed = [usd for usd in listed if usd is not None]
        known = [usd for usd in listed if usd is not None]
        if not quantities or len(known) < len(quantities):
            return []
        same = abs(sum(known, Decimal(0)) - cost) <= PICODOLLAR * len(known)
        if not same and sum(known) == 0:
            return []
        shares = _exact(known if same else _scaled(known, cost), cost)
        return [
            Charge(meter=name, quantity=quantity, cost_usd=share, listed=same)
            for (name, quantity), share in zip(quantities.items(), shares, strict=True)
        ]

    def _price(self, row: Mapping[str, Any], meter: str) -> Decimal | None:
        return self._unit(
            row["provider"] or "",
            row["request_model"],
            row["response_model"],
            row["service_tier"],
            row["operation"],
            row["started_at"].replace(minute=0, second=0, microsecond=0),
            meter,
        )

    def _unit_price(
        self,
        provider: str,
        request_model: str | None,
        response_model: str | None,
        tier: str | None,
        operation: str | None,
        hour: datetime,
        meter: str,
    ) -> Decimal | None:
        """USD for one token or search, without any fee for the request itself."""

        def cost(usage: Usage) -> Decimal | None:
            found = self._book.cost(
                provider=provider,
                request_model=request_model,
                response_model=response_model,
                usage=usage,
                usage_source="provider",
                service_tier=tier,
                operation=operation,
                started_at=hour,
            )
            return found.cost_usd if found.cost_status == "priced" else None

        fee = cost(Usage(input_tokens=0, output_tokens=0))
        usd = cost(_probe(meter))
        if fee is None or usd is None:
            return None
        return (usd - fee) / (1 if meter == SEARCH else _PROBE)


def _sides(row: Mapping[str, Any], whole: Decimal) -> tuple[Decimal | None, Decimal | None] | None:
    """What input and output cost, where that is known and is the whole cost."""
    input_usd, output_usd = row["input_cost_usd"], row["output_cost_usd"]
    known = [usd for usd in (input_usd, output_usd) if usd is not None]
    return (input_usd, output_usd) if known and sum(known) == whole else None


def _request(cost: Decimal) -> Charge:
    return Charge(meter=REQUEST, quantity=1, cost_usd=cost, listed=False)


def _scaled(listed: Sequence[Decimal], cost: Decimal) -> list[Decimal]:
    total = sum(listed, Decimal(0))
    return [usd * cost / total for usd in listed]


def _exact(amounts: Sequence[Decimal], whole: Decimal) -> list[Decimal]:
    """The amounts in picodollars, the largest with what rounding has left over."""
    rounded = [usd.quantize(PICODOLLAR, ROUND_DOWN) for usd in amounts]
    largest = max(range(len(rounded)), key=rounded.__getitem__)
    rounded[largest] += whole - sum(rounded, Decimal(0))
    return rounded


_INPUT_PARTS: dict[str, tuple[str, ...]] = {
    "input": (),
    "cache_read": ("cache_read_tokens",),
    "cache_write": ("cache_write_tokens",),
    "cache_write_1h": ("cache_write_tokens", "cache_write_1h_tokens"),
    "audio_input": ("audio_input_tokens",),
    "cached_audio_input": (
        "audio_input_tokens",
        "cache_read_tokens",
        "cached_audio_input_tokens",
    ),
    "image_input": ("image_input_tokens",),
    "cached_image_input": ("image_input_tokens", "cache_read_tokens"),
}
_OUTPUT_PARTS: dict[str, tuple[str, ...]] = {
    "output": (),
    "reasoning": ("reasoning_tokens",),
    "audio_output": ("audio_output_tokens",),
    "image_output": ("image_output_tokens",),
}
assert tuple(_INPUT_PARTS) == INPUT_CLASSES
assert tuple(_OUTPUT_PARTS) == OUTPUT_CLASSES


def _probe(meter: str) -> Usage:
    """Usage of this class alone."""
    if meter == SEARCH:
        return Usage(input_tokens=0, output_tokens=0, web_searches=1)
    is_input = meter in _INPUT_PARTS
    names = _INPUT_PARTS[meter] if is_input else _OUTPUT_PARTS[meter]
    parts: dict[str, Any] = dict.fromkeys(names, _PROBE)
    sides = (_PROBE, 0) if is_input else (0, _PROBE)
    return Usage(input_tokens=sides[0], output_tokens=sides[1], **parts)
