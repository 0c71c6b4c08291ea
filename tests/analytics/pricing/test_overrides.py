"""Prices that the user writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from analytics.prices import Cost, PriceBook, PriceOverride

CostOf = Callable[..., Cost]


def mtok(tokens: int, dollars_per_mtok: str) -> Decimal:
    return tokens * Decimal(dollars_per_mtok) / 1_000_000


def override(model: str, *, valid_from: date | None = None, **keys: Any) -> PriceOverride:
    provider = keys.pop("provider", None)
    dollars = {name: Decimal(value) for name, value in keys.items()}
    return PriceOverride(model=model, provider=provider, valid_from=valid_from, **dollars)


def test_the_users_prices_come_before_list_prices(cost: CostOf) -> None:
    book = PriceBook(
        [
            override("other-*", input_usd_per_mtok="9", output_usd_per_mtok="9"),
            override(
                "GPT-4o*",
                provider="openai",
                input_usd_per_mtok="1",
                output_usd_per_mtok="2",
                cache_read_usd_per_mtok="0.5",
                per_request_usd="0.001",
                per_search_usd="0.01",
            ),
        ]
    )
    counts = {"input_tokens": 1000, "output_tokens": 100, "cache_read_tokens": 200}
    bill = cost("openai", "gpt-4o-mini", book=book, web_searches=1, **counts)
    assert bill.input_cost_usd == mtok(800, "1") + mtok(200, "0.5") + Decimal("0.011")
    assert bill.output_cost_usd == mtok(100, "2")
    assert (bill.cost_status, bill.price_ref) == ("priced", "config:prices[1]")
    elsewhere = cost("azure", "gpt-4o-mini", book=book, input_tokens=1000, output_tokens=0)
    assert elsewhere.cost_usd == mtok(1000, "0.15")


def test_the_users_prices_reach_local_models(cost: CostOf) -> None:
    book = PriceBook(
        [override("*", provider="ollama", input_usd_per_mtok="0", output_usd_per_mtok="0")]
    )
    bill = cost("ollama", "llama3.2", book=book, input_tokens=1000, output_tokens=10)
    assert (bill.cost_usd, bill.cost_status) == (Decimal(0), "priced")


def test_of_the_users_prices_the_latest_that_has_begun_holds(cost: CostOf) -> None:
    book = PriceBook(
        [
            override("m", input_usd_per_mtok="1"),
            override("m", input_usd_per_mtok="3", valid_from=date(2026, 3, 1)),
            override("m", input_usd_per_mtok="2", valid_from=date(2026, 2, 1)),
            override("*", input_usd_per_mtok="7", valid_from=date(2026, 2, 1)),
        ]
    )

    def at(month: int) -> tuple[Decimal | None, str | None]:
        when = datetime(2026, month, 1, tzinfo=UTC)
        bill = cost("x", "m", book=book, at=when, operation="embeddings", input_tokens=1_000_000)
        return bill.cost_usd, bill.price_ref

    assert at(1) == (Decimal(1), "config:prices[0]")
    assert at(2) == (Decimal(2), "config:prices[2]")
    assert at(3) == (Decimal(3), "config:prices[1]")


def test_a_class_the_users_prices_leave_out_makes_the_cost_partial(cost: CostOf) -> None:
    book = PriceBook([override("m", input_usd_per_mtok="1", output_usd_per_mtok="1")])
    counts = {"input_tokens": 1000, "cache_read_tokens": 600, "output_tokens": 0}
    bill = cost("x", "m", book=book, **counts)
    assert (bill.cost_usd, bill.cost_status) == (mtok(400, "1"), "partial")
    assert bill.price_ref == "config:prices[0] missing=cache_read"


def test_units_minutes_and_characters_have_prices_of_their_own(cost: CostOf) -> None:
    book = PriceBook(
        [
            override("rerank-*", per_search_unit_usd="0.002"),
            override("gpt-*", input_usd_per_mtok="1", per_file_search_usd="0.0025"),
            override("ear", per_audio_minute_usd="0.006"),
            override("voice", input_usd_per_mchar="15"),
        ]
    )

    def usd(model: str, operation: str, **counts: Any) -> tuple[Decimal | None, str | None]:
        bill = cost("x", model, book=book, operation=operation, **counts)
        return bill.cost_usd, bill.cost_status

    assert usd("rerank-9", "rerank", units={"search_units": 2}) == (Decimal("0.004"), "priced")
    counts = {"input_tokens": 0, "output_tokens": 0, "units": {"file_searches": 2}}
    assert usd("gpt-9", "chat", **counts) == (Decimal("0.005"), "priced")
    assert usd("ear", "transcription", audio_seconds=90) == (Decimal("0.009"), "priced")
    spoken = {"units": {"input_characters": 2000}}
    assert usd("voice", "speech", **spoken) == (Decimal("0.03"), "priced")
