from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson
import polars as pl
import pytest
from genai_prices.data import providers
from genai_prices.types import TieredPrices

from analytics.prices import PriceBook, PriceOverride
from analytics.queries import Selection
from analytics.reports.tokenizers import family
from analytics.reports.whatif import LENGTHS, Target, UnknownTarget, WhatIf, whatif
from analytics.windows import Window
from proxy.facts import Usage
from tests.analytics.reports.conftest import AT, Open, Sample, exchange

ALL = Selection(window=Window())


def compared(stored: Open, target: str, *given: Any, provider: str | None = None) -> WhatIf:
    with stored(*given) as con:
        return whatif(con, PriceBook(), ALL, [Target(target, provider)], AT)


def test_the_same_tokens_at_the_other_price(stored: Open) -> None:
    row = compared(stored, "gpt-4o-mini", exchange(), exchange()).summary.row(0, named=True)
    assert row["cost_usd"] == Decimal("0.007")
    assert row["cost_there_usd"] == 2 * (1000 * Decimal("0.15e-6") + 100 * Decimal("0.6e-6"))
    assert row["change_usd"] == row["cost_there_usd"] - row["cost_usd"]
    assert row["low_usd"] == row["high_usd"] == row["cost_there_usd"]


def test_the_model_in_use_costs_what_it_cost(stored: Open) -> None:
    row = compared(stored, "gpt-4o", exchange()).summary.row(0, named=True)
    assert row["change_usd"] == 0


def test_caches_work_as_they_did_or_not_at_all(stored: Open) -> None:
    row = compared(stored, "gpt-4o-mini", exchange(cache_read_tokens=800)).summary.row(
        0, named=True
    )
    output = 100 * Decimal("0.6e-6")
    assert row["cost_there_usd"] == 200 * Decimal("0.15e-6") + 800 * Decimal("0.075e-6") + output
    assert row["uncached_usd"] == 1000 * Decimal("0.15e-6") + output


def test_a_target_without_cache_prices_takes_everything_as_fresh(stored: Open) -> None:
    price = PriceOverride(
        model="house", input_usd_per_mtok=Decimal(1), output_usd_per_mtok=Decimal(1)
    )
    with stored(exchange(cache_read_tokens=800, cache_write_tokens=100)) as con:
        found = whatif(con, PriceBook([price]), ALL, [Target("house", "vllm")], AT)
    row = found.summary.row(0, named=True)
    assert row["provider"] == "vllm"
    assert row["uncached_usd"] == row["cost_there_usd"]


def test_other_makers_tokens_are_converted_and_the_error_is_told(stored: Open) -> None:
    found = compared(stored, "claude-haiku-4-5", exchange())
    group = found.groups.row(0, named=True)
    assert (group["factor"], group["factor_origin"]) == (1.15, "assumed")
    row = found.summary.row(0, named=True)
    plain = 1000 * Decimal("1e-6") + 100 * Decimal("5e-6")
    assert row["cost_there_usd"] == plain * Decimal("1.15")
    assert row["low_usd"] < row["cost_there_usd"] < row["high_usd"]


def test_factors_are_measured_where_texts_are_stored(stored: Open) -> None:
    """The other maker's model counts half as many tokens again for the same text."""
    text = "The parcel was moved to the next day because the form was not complete. " * 40
    body = orjson.dumps({"model": "x", "messages": [{"role": "user", "content": text}]})
    openai = [(exchange(input_tokens=600), body) for _ in range(12)]
    mistral = {"provider": "mistral", "request_model": "mistral-small-latest"}
    others = [(exchange(input_tokens=900, **mistral), body) for _ in range(12)]
    found = compared(stored, "mistral-small-latest", *openai, *others)
    factors = {row["from_model"]: row["factor"] for row in found.groups.iter_rows(named=True)}
    assert factors["gpt-4o"] == pytest.approx(1.5)
    assert factors["mistral-small-latest"] == 1.0
    assert set(found.groups["factor_origin"]) == {"measured", "same"}


def test_what_cannot_be_compared_is_told(stored: Open) -> None:
    unpriced = exchange(cost_usd=None, cost_status="unpriced")
    embedded = exchange(operation="embeddings")
    nothing = exchange(
        input_tokens=None, output_tokens=None, usage_source=None, outcome="timed_out"
    )
    found = compared(stored, "gpt-4o-mini", exchange(), unpriced, embedded, nothing)
    assert found.summary["exchanges"].to_list() == [1]
    assert found.left_out["exchanges"].to_list() == [1, 1, 1]


def test_a_model_without_price_is_refused(stored: Open) -> None:
    with pytest.raises(UnknownTarget, match=r"\[\[prices\]\]"):
        compared(stored, "nonsuch", exchange())
    with pytest.raises(UnknownTarget, match="at mistral"):
        compared(stored, "gpt-4o", exchange(), provider="mistral")


def test_an_empty_selection_costs_nothing_anywhere(stored: Open) -> None:
    found = compared(stored, "gpt-4o-mini")
    assert found.groups.is_empty()
    assert found.summary.is_empty()


def test_every_step_of_every_list_price_has_a_length_of_its_own() -> None:
    steps: set[int] = set()
    for provider in providers:
        for model in provider.models:
            dated = model.prices if isinstance(model.prices, list) else [model.prices]
            every = [getattr(each, "prices", each) for each in dated]
            every += [variant.prices for variant in model.price_variants or ()]
            for prices in every:
                tiered = (p for p in vars(prices).values() if isinstance(p, TieredPrices))
                steps |= {tier.start for each in tiered for tier in each.tiers}
    assert steps <= set(LENGTHS)


@pytest.mark.parametrize(
    ("model", "maker"),
    [
        ("gpt-4.1-mini", "openai"),
        ("o4-mini", "openai"),
        ("openai.gpt-oss-120b-1:0", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("mixtral-8x7b", "mistral"),
        ("house-guard-8b", None),
    ],
)
def test_families_go_by_name(model: str, maker: str | None) -> None:
    assert family(model) == maker


@pytest.mark.parametrize("target", ["gpt-4.1-mini", "gemini-2.5-pro"])
def test_long_prompts_and_all_others_cost_what_the_book_says_of_each(
    stored: Open, target: str
) -> None:
    """Priced one by one, and in sums; gemini-2.5-pro has higher prices above 200,000 tokens."""
    sizes = [10, 199_999, 200_000, 200_001, 300_000, 1_000_000]
    given = [
        exchange(
            request_model=target,
            provider="gemini" if "gemini" in target else "openai",
            input_tokens=size,
            cache_read_tokens=size // 3,
            output_tokens=777,
            started_at=AT - timedelta(days=number),
        )
        for number, size in enumerate(sizes)
    ]
    book = PriceBook()
    one_by_one = sum(
        book.cost(
            provider=each.provider or "",
            request_model=target,
            response_model=None,
            usage=Usage(
                input_tokens=each.input_tokens,
                cache_read_tokens=each.cache_read_tokens,
                output_tokens=each.output_tokens,
            ),
            usage_source="provider",
            service_tier=None,
            operation="chat",
            started_at=each.started_at,
        ).cost_usd
        or Decimal(0)
        for each in given
    )
    found = compared(stored, target, *given).summary.row(0, named=True)
    assert abs(found["cost_there_usd"] - one_by_one) <= Decimal("1e-11")


def test_a_migration_that_happened_is_priced_as_it_was(sample: Sample) -> None:
    """Traffic of the cheaper model, asked what it would have cost with itself."""
    target = sample.ledger.event("migration")["detail"]["to"]
    with sample.opened() as con:
        found = whatif(con, sample.book, ALL, [Target(target)], AT)
    same = found.groups.filter(pl.col("from_model") == target)
    assert same["change_usd"].sum() == 0
    spent = sum(
        Decimal(line["cost_usd"])
        for line in sample.ledger.exchanges
        if line["model"] == target and line["cost_status"] == "priced"
    )
    assert same["cost_usd"].sum() == spent
