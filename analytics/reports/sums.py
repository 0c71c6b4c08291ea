"""Sums of exchanges by what decides their cost, for reports that compare costs.

Owns the SQL. Only exchanges with a known cost are summed, and their tokens are cut into disjoint
classes. Refuses to divide or to compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from analytics.prices import PriceBook
from analytics.queries import MODEL
from analytics.reports.class_prices import INPUT_CLASSES, ClassPrices, Served, class_prices

_ORDINARY = "('auto', 'default', 'standard', 'standard_only', 'on_demand', 'unspecified')"
RAW_KEYS = "provider, request_model, response_model, service_tier, is_unsplit AS unsplit"
"""By these a row of sums is made first, as columns are grouped quicker than what is made of them.
`unsplit`: the provider reported one cost for input and output together."""
KEYS = f"""provider, {MODEL} AS model,
    CASE WHEN lower(service_tier) NOT IN {_ORDINARY} THEN lower(service_tier) END AS service_tier,
    unsplit"""
"""What a row of sums is about, besides the caller's own keys, of such rows."""
SUMS = """any_value(operation) AS operation, max(last_at) AS last_at,
    sum(exchanges)::BIGINT AS exchanges,
    sum(fresh_tokens)::BIGINT AS fresh,
    sum(cache_read_tokens)::BIGINT AS cache_read,
    sum(brief_write_tokens)::BIGINT AS cache_write,
    sum(cache_write_1h_tokens)::BIGINT AS cache_write_1h,
    sum(output_tokens)::BIGINT AS output,
    sum(input_cost_usd) AS input_usd, sum(output_cost_usd) AS output_usd,
    sum(cost_usd) AS cost_usd"""
"""Of analytics.selected.summed; every row has at least one exchange."""
FOLDED = ", ".join(
    [
        *(f"any_value({name}) AS {name}" for name in ("request_model", "response_model")),
        "any_value(operation) AS operation",
        "max(last_at) AS last_at",
        *(f"sum({name})::BIGINT AS {name}" for name in ("exchanges", *INPUT_CLASSES, "output")),
        *(f"sum({name}) AS {name}" for name in ("input_usd", "output_usd", "cost_usd")),
    ]
)
"""Sums of such sums."""
COSTED = "is_costed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one model did for one group in one window. Tokens by class; dollars by what they paid.

    `other_usd` is what no token explains: fees, or a reported cost of a model without list price.
    """

    exchanges: Decimal
    inputs: tuple[Decimal, ...]
    output: Decimal
    weights: tuple[Decimal, ...]
    """What a token of each input class costs against one of fresh input."""
    input_usd: Decimal
    output_usd: Decimal
    other_usd: Decimal

    @property
    def cost_usd(self) -> Decimal:
        return self.input_usd + self.output_usd + self.other_usd

    @property
    def input_tokens(self) -> Decimal:
        return sum(self.inputs, Decimal(0))

    def scaled(self, factor: Decimal) -> Part:
        """The same traffic, so many times."""
        return Part(
            exchanges=self.exchanges * factor,
            inputs=tuple(tokens * factor for tokens in self.inputs),
            output=self.output * factor,
            weights=self.weights,
            input_usd=self.input_usd * factor,
            output_usd=self.output_usd * factor,
            other_usd=self.other_usd * factor,
        )


class Pricer:
    """Makes parts of rows of sums; asks the book once for each model and day."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._known: dict[Any, ClassPrices] = {}

    def part(self, row: Mapping[str, Any]) -> Part:
        """A row of SUMS with its KEYS as a part."""
        prices = self._prices(row)
        inputs = tuple(Decimal(row[name] or 0) for name in INPUT_CLASSES)
        output, cost = Decimal(row["output"] or 0), row["cost_usd"]
        weights = prices.weights()
        if row["unsplit"]:
            input_usd, output_usd = _split(cost, inputs, output, prices)
        else:
            input_usd, output_usd = row["input_usd"] or Decimal(0), row["output_usd"] or Decimal(0)
        if not any(inputs):
            input_usd = Decimal(0)
        if not output:
            output_usd = Decimal(0)
        return Part(
            exchanges=Decimal(row["exchanges"]),
            inputs=inputs,
            output=output,
            weights=weights,
            input_usd=input_usd,
            output_usd=output_usd,
            other_usd=cost - input_usd - output_usd,
        )

    def _prices(self, row: Mapping[str, Any]) -> ClassPrices:
        served = Served(
            row["provider"],
            row["request_model"],
            row["response_model"],
            row["service_tier"],
            row["operation"],
        )
        at: datetime = row["last_at"]
        key = (served, at.date())
        if key not in self._known:
            self._known[key] = class_prices(self._book, served, at)
        return self._known[key]


def _split(
    cost: Decimal, inputs: tuple[Decimal, ...], output: Decimal, prices: ClassPrices
) -> tuple[Decimal, Decimal]:
    """One reported cost, divided as list prices would divide it; nothing where they are unknown."""
    if prices.fresh is None or prices.output is None:
        return Decimal(0), Decimal(0)
    weighted = sum((w * n for w, n in zip(prices.weights(), inputs, strict=True)), Decimal(0))
    asked, said = weighted * prices.fresh, output * prices.output
    if not asked + said:
        return Decimal(0), Decimal(0)
    input_usd = (cost * asked / (asked + said)).quantize(cost)
    return input_usd, cost - input_usd


def added(first: Part, second: Part) -> Part:
    """Two parts of the same model as one."""
    inputs = tuple(a + b for a, b in zip(first.inputs, second.inputs, strict=True))
    return Part(
        exchanges=first.exchanges + second.exchanges,
        inputs=inputs,
        output=first.output + second.output,
        weights=second.weights,
        input_usd=first.input_usd + second.input_usd,
        output_usd=first.output_usd + second.output_usd,
        other_usd=first.other_usd + second.other_usd,
    )
