"""What the store says of an exchange's cost.

Owns taking the amounts from the sample's own price table, and the name of the price from the
product's price book.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from analytics.prices import Cost, PriceBook, PriceOverride
from proxy.facts import Usage
from sample_data.generator.plan import Window, events_of
from sample_data.generator.planned import Planned, reported
from sample_data.generator.prices import PriceTable, SamplePrice, price_table

DIALECTS = {
    "openai": ("openai_chat", "chat"),
    "anthropic": ("anthropic_messages", "chat"),
    "gemini": ("gemini_generate", "generate_content"),
    "embeddings": ("openai_embeddings", "embeddings"),
}
"""The dialect and the operation of each way to speak."""


def overrides(window: Window) -> tuple[SamplePrice, ...]:
    """The sample's prices that no price list has."""
    return tuple(price for price in price_table(events_of(window)) if price.is_override)


def price_book(window: Window) -> PriceBook:
    """As the poster has it with the settings that belong to the window."""
    return PriceBook(
        [
            PriceOverride(
                provider=price.provider,
                model=price.model,
                input_usd_per_mtok=price.input,
                output_usd_per_mtok=price.output,
                valid_from=price.valid_from,
            )
            for price in overrides(window)
        ]
    )


class Billing:
    """What exchanges cost, by the sample's own table; how the price book names the price is asked
    once for each model, day and status."""

    def __init__(self, table: PriceTable, book: PriceBook) -> None:
        self._table = table
        self._book = book
        self._refs: dict[tuple[str, date, str | None], str | None] = {}

    def cost(self, planned: Planned, usage: Usage | None, tier: str | None, at: datetime) -> Cost:
        cost_usd, input_usd, output_usd, status, _ = self._table.expected(planned, at)
        if usage is None:
            return Cost(cost_usd=cost_usd, input_cost_usd=input_usd, output_cost_usd=output_usd)
        known = (planned.model.name, at.date(), status)
        if known not in self._refs:
            self._refs[known] = self._price_ref(planned, usage, tier, at)
        return Cost(
            cost_usd=cost_usd,
            input_cost_usd=input_usd,
            output_cost_usd=output_usd,
            cost_status=status,  # type: ignore[arg-type]
            price_ref=self._refs[known],
        )

    def saved_usd(self, planned: Planned, at: datetime) -> Decimal | None:
        """What an answer from the cache would have cost."""
        return self._table.expected(planned, at).saved_usd

    def _price_ref(
        self, planned: Planned, usage: Usage, tier: str | None, at: datetime
    ) -> str | None:
        model = planned.model
        return self._book.cost(
            provider=model.provider,
            request_model=model.name,
            response_model=model.full_name,
            usage=usage,
            usage_source=reported(planned)[1],
            service_tier=tier,
            operation=DIALECTS[model.speaks][1],
            started_at=at,
        ).price_ref
