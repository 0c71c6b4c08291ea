"""List prices in dollars, as the providers publish them.

Expected amounts are written out by hand as widely published, never taken from the library that the
code under test reads. Which of the providers' pages were seen, and what they say, is told in
`test_published_prices`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from analytics.prices import Cost

CostOf = Callable[..., Cost]
NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


def mtok(tokens: int, dollars_per_mtok: str) -> Decimal:
    return tokens * Decimal(dollars_per_mtok) / 1_000_000


# Published prices, dollars per million tokens: provider, model, input, output.
# https://openai.com/api/pricing, https://claude.com/pricing#api, https://ai.google.dev/pricing,
# https://aws.amazon.com/bedrock/pricing, https://docs.x.ai/docs/models, https://groq.com/pricing
PLAIN_PRICES = [
    ("openai", "gpt-4o", "2.50", "10"),
    ("openai", "gpt-4o-mini", "0.15", "0.60"),
    ("openai", "gpt-4.1", "2", "8"),
    ("openai", "gpt-5", "1.25", "10"),
    ("openai", "o4-mini", "1.10", "4.40"),
    ("anthropic", "claude-sonnet-4-5", "3", "15"),
    ("anthropic", "claude-haiku-4-5", "1", "5"),
    ("anthropic", "claude-opus-4-5-20251101", "5", "25"),
    ("anthropic", "claude-3-5-haiku-20241022", "0.80", "4"),
    ("gemini", "gemini-2.5-pro", "1.25", "10"),
    ("gemini", "models/gemini-2.5-flash", "0.30", "2.50"),
    ("vertex", "claude-sonnet-4-5@20250929", "3", "15"),
    ("azure", "gpt-4o-2024-08-06", "2.50", "10"),
    ("bedrock", "amazon.nova-lite-v1:0", "0.06", "0.24"),
    ("xai", "grok-3", "3", "15"),
    ("cohere", "command-a-03-2025", "2.50", "10"),
    ("cerebras", "gpt-oss-120b", "0.35", "0.75"),
    ("demo", "gpt-4o", "2.50", "10"),
    ("demo", "claude-sonnet-4-5", "3", "15"),
    ("demo", "gemini-2.5-pro", "1.25", "10"),
]


@pytest.mark.parametrize(("provider", "model", "input_price", "output_price"), PLAIN_PRICES)
def test_input_and_output_cost_the_published_price(
    cost: CostOf, provider: str, model: str, input_price: str, output_price: str
) -> None:
    bill = cost(provider, model, input_tokens=12_345, output_tokens=678)
    assert bill.input_cost_usd == mtok(12_345, input_price)
    assert bill.output_cost_usd == mtok(678, output_price)
    assert bill.cost_usd == mtok(12_345, input_price) + mtok(678, output_price)
    assert bill.cost_status == "priced"


def test_cached_input_is_charged_once_at_its_own_price(cost: CostOf) -> None:
    # openai.com/api/pricing: gpt-4o 2.50, cached 1.25, output 10
    bill = cost("openai", "gpt-4o", input_tokens=1000, cache_read_tokens=400, output_tokens=100)
    assert bill.input_cost_usd == mtok(600, "2.50") + mtok(400, "1.25")
    assert bill.output_cost_usd == mtok(100, "10")


def test_reasoning_is_part_of_the_output_and_charged_once(cost: CostOf) -> None:
    # openai.com/api/pricing: o4-mini output 4.40, reasoning included
    bill = cost("openai", "o4-mini", input_tokens=10, output_tokens=900, reasoning_tokens=850)
    assert bill.output_cost_usd == mtok(900, "4.40")


def test_cache_writes_are_charged_by_how_long_they_are_kept(cost: CostOf) -> None:
    # claude.com/pricing: Sonnet 4.5 input 3, cache read 0.30, write 3.75, write for an hour 6
    bill = cost(
        "anthropic",
        "claude-sonnet-4-5-20250929",
        input_tokens=10_000,
        cache_read_tokens=5000,
        cache_write_tokens=3000,
        cache_write_1h_tokens=1000,
        output_tokens=10,
    )
    expected = mtok(2000, "3") + mtok(5000, "0.30") + mtok(2000, "3.75") + mtok(1000, "6")
    assert bill.input_cost_usd == expected
    assert bill.cost_status == "priced"


def test_long_input_is_charged_at_the_long_price_in_all_classes(cost: CostOf) -> None:
    # claude.com/pricing: Sonnet 4.5 above 200K input tokens: 6 / 22.50, cache read 0.60
    bill = cost(
        "anthropic",
        "claude-sonnet-4-5",
        input_tokens=200_001,
        cache_read_tokens=200_000,
        output_tokens=1000,
    )
    assert bill.input_cost_usd == mtok(1, "6") + mtok(200_000, "0.60")
    assert bill.output_cost_usd == mtok(1000, "22.50")
    assert bill.price_ref is not None
    assert "over=200000" in bill.price_ref


@pytest.mark.parametrize(
    ("tokens", "input_price", "output_price"),
    [(200_000, "1.25", "10"), (200_001, "2.50", "15")],
)
def test_the_step_begins_behind_its_threshold(
    cost: CostOf, tokens: int, input_price: str, output_price: str
) -> None:
    # ai.google.dev/pricing: Gemini 2.5 Pro, prompts up to and above 200k tokens
    bill = cost("gemini", "gemini-2.5-pro", input_tokens=tokens, output_tokens=1000)
    assert bill.input_cost_usd == mtok(tokens, input_price)
    assert bill.output_cost_usd == mtok(1000, output_price)


@pytest.mark.parametrize("at", [NOW, datetime(2025, 11, 2, tzinfo=UTC)])
@pytest.mark.parametrize(
    ("provider", "model", "input_price", "output_price"),
    [
        # platform.openai.com/docs/guides/batch, docs.claude.com batch processing, ai.google.dev:
        # half the standard price
        ("openai", "gpt-4o", "1.25", "5"),
        ("openai", "gpt-4.1", "1", "4"),
        ("anthropic", "claude-sonnet-4-5", "1.50", "7.50"),
        ("anthropic", "claude-3-haiku-20240307", "0.125", "0.625"),
        ("gemini", "gemini-2.5-pro", "0.625", "5"),
    ],
)
def test_batch_costs_half_at_any_time(
    cost: CostOf, at: datetime, provider: str, model: str, input_price: str, output_price: str
) -> None:
    bill = cost(provider, model, tier="batch", at=at, input_tokens=1000, output_tokens=100)
    assert bill.input_cost_usd == mtok(1000, input_price)
    assert bill.output_cost_usd == mtok(100, output_price)
    assert bill.price_ref is not None
    assert "tier=batch" in bill.price_ref


def test_batch_keeps_its_proportion_to_the_price_of_the_time(cost: CostOf) -> None:
    # openai.com: o3 cost 10 / 40 until 2025-06-10 and 2 / 8 from then on; batch is half
    before = datetime(2025, 5, 1, tzinfo=UTC)
    bill = cost("openai", "o3", tier="batch", at=before, input_tokens=1000, output_tokens=100)
    assert bill.cost_usd == mtok(1000, "5") + mtok(100, "20")


@pytest.mark.parametrize(
    ("tier", "input_price", "output_price"),
    [
        # platform.openai.com/docs/pricing: gpt-5 by tier
        ("flex", "0.625", "5"),
        ("priority", "2.50", "20"),
        ("default", "1.25", "10"),
        ("auto", "1.25", "10"),
        (None, "1.25", "10"),
    ],
)
def test_the_service_tier_decides_the_price(
    cost: CostOf, tier: str | None, input_price: str, output_price: str
) -> None:
    bill = cost("openai", "gpt-5", tier=tier, input_tokens=1000, output_tokens=100)
    assert bill.cost_usd == mtok(1000, input_price) + mtok(100, output_price)


@pytest.mark.parametrize("tier", ["ON_DEMAND", "TRAFFIC_TYPE_UNSPECIFIED", "standard"])
def test_words_for_the_ordinary_tier_are_understood(cost: CostOf, tier: str) -> None:
    bill = cost("vertex", "gemini-2.5-flash", tier=tier, input_tokens=1000, output_tokens=0)
    assert bill.cost_usd == mtok(1000, "0.30")


def test_a_tier_without_a_known_price_is_unpriced_and_named(cost: CostOf) -> None:
    bill = cost("openai", "gpt-4o", tier="scale", input_tokens=1000, output_tokens=100)
    assert (bill.cost_usd, bill.cost_status) == (None, "unpriced")
    assert bill.price_ref is not None
    assert "tier=scale" in bill.price_ref


def test_fast_answers_cost_their_own_price(cost: CostOf) -> None:
    # docs.claude.com fast mode: Opus 4.8 at 10 / 50; the usage object says so
    counts = {"input_tokens": 1000, "output_tokens": 100}
    bill = cost("anthropic", "claude-opus-4-8", raw={"speed": "fast"}, **counts)
    assert bill.cost_usd == mtok(1000, "10") + mtok(100, "50")


def test_inference_kept_in_the_united_states_costs_a_tenth_more(cost: CostOf) -> None:
    # docs.claude.com data residency: 1.1 times on all token prices; Opus 4.6 is 5 / 25
    counts = {"input_tokens": 1000, "output_tokens": 100}
    bill = cost("anthropic", "claude-opus-4-6", raw={"inference_geo": "us"}, **counts)
    assert bill.cost_usd == (mtok(1000, "5") + mtok(100, "25")) * Decimal("1.1")


def test_prices_are_those_of_the_day(cost: CostOf) -> None:
    # openai.com: o3 cost 10 / 40 until 2025-06-10, then 2 / 8
    counts = {"input_tokens": 1000, "output_tokens": 100}
    last = cost("openai", "o3", at=datetime(2025, 6, 9, 23, 59, tzinfo=UTC), **counts)
    first = cost("openai", "o3", at=datetime(2025, 6, 10, 0, 0, tzinfo=UTC), **counts)
    assert last.cost_usd == mtok(1000, "10") + mtok(100, "40")
    assert first.cost_usd == mtok(1000, "2") + mtok(100, "8")
    assert first.price_ref is not None
    assert "from=2025-06-10" in first.price_ref


def test_the_day_is_the_day_in_utc(cost: CostOf) -> None:
    east = timezone(timedelta(hours=10))
    at = datetime(2025, 6, 10, 8, 0, tzinfo=east)  # still the 9th in UTC
    assert cost("openai", "o3", at=at, input_tokens=1000, output_tokens=0).cost_usd == mtok(
        1000, "10"
    )
    naive = datetime(2025, 6, 9, 22, 0)
    assert cost("openai", "o3", at=naive, input_tokens=1000, output_tokens=0).cost_usd == mtok(
        1000, "10"
    )


@pytest.mark.parametrize(
    ("hour", "minute", "price"),
    [(0, 29, "0.135"), (0, 30, "0.55"), (16, 29, "0.55"), (16, 30, "0.135"), (23, 59, "0.135")],
)
def test_prices_follow_the_time_of_day(cost: CostOf, hour: int, minute: int, price: str) -> None:
    # api-docs.deepseek.com, 2025: deepseek-reasoner at 0.55, off-peak 16:30-00:30 UTC at 0.135
    at = datetime(2025, 5, 1, hour, minute, 59, tzinfo=UTC)
    bill = cost("deepseek", "deepseek-reasoner", at=at, input_tokens=1000, output_tokens=0)
    assert bill.cost_usd == mtok(1000, price)


def test_audio_is_charged_as_audio(cost: CostOf) -> None:
    # platform.openai.com/docs/pricing: gpt-realtime text 4 / 16, cached 0.40, audio 32 / 64
    bill = cost(
        "openai",
        "gpt-realtime",
        input_tokens=1000,
        cache_read_tokens=300,
        audio_input_tokens=600,
        cached_audio_input_tokens=100,
        output_tokens=500,
        audio_output_tokens=400,
    )
    cached = mtok(200, "0.40") + mtok(100, "0.40")
    assert bill.input_cost_usd == mtok(200, "4") + mtok(500, "32") + cached
    assert bill.output_cost_usd == mtok(100, "16") + mtok(400, "64")
    assert bill.cost_status == "priced"


def test_audio_without_a_price_of_its_own_makes_the_cost_partial(cost: CostOf) -> None:
    # gpt-4o-mini-audio-preview: text 0.15 / 0.60; its audio price is not in the list
    counts = {"input_tokens": 1000, "audio_input_tokens": 900, "output_tokens": 100}
    bill = cost("openai", "gpt-4o-mini-audio-preview", **counts)
    assert bill.cost_status == "partial"
    assert bill.cost_usd == mtok(100, "0.15") + mtok(100, "0.60")
    assert bill.price_ref is not None
    assert "missing=audio_input" in bill.price_ref


def test_images_are_read_at_their_price_or_at_that_of_input(cost: CostOf) -> None:
    # platform.openai.com/docs/pricing: gpt-image-1 text 5, image input 10, output 40
    image = cost(
        "openai",
        "gpt-image-1",
        operation="image_generation",
        input_tokens=300,
        image_input_tokens=200,
        output_tokens=1000,
        image_output_tokens=1000,
    )
    assert image.cost_usd == mtok(100, "5") + mtok(200, "10") + mtok(1000, "40")
    # ai.google.dev/pricing: Gemini 2.5 Pro reads text, images and audio at one price
    pro = cost(
        "gemini",
        "gemini-2.5-pro",
        input_tokens=1000,
        image_input_tokens=258,
        audio_input_tokens=32,
        output_tokens=0,
    )
    assert (pro.cost_usd, pro.cost_status) == (mtok(1000, "1.25"), "priced")


def test_embeddings_are_charged_by_input_alone(cost: CostOf) -> None:
    # openai.com/api/pricing: text-embedding-3-small 0.02
    bill = cost("openai", "text-embedding-3-small", operation="embeddings", input_tokens=1000)
    assert bill.cost_usd == bill.input_cost_usd == mtok(1000, "0.02")
    assert bill.output_cost_usd is None
    assert bill.cost_status == "priced"


def test_searches_are_charged_each_and_belong_to_the_input(cost: CostOf) -> None:
    # claude.com/pricing: web search 10 per 1,000
    bill = cost(
        "anthropic", "claude-sonnet-4-5", input_tokens=1000, output_tokens=10, web_searches=3
    )
    assert bill.input_cost_usd == mtok(1000, "3") + 3 * Decimal("0.01")


def test_grounding_is_charged_per_prompt_before_gemini_3_and_per_search_since(cost: CostOf) -> None:
    # ai.google.dev/pricing: 35 per 1,000 grounded prompts; Gemini 3: 14 per 1,000 queries
    counts = {"input_tokens": 0, "output_tokens": 0, "web_searches": 3}
    assert cost("gemini", "gemini-2.5-flash", **counts).cost_usd == Decimal("0.035")
    assert cost("gemini", "gemini-3-flash-preview", **counts).cost_usd == 3 * Decimal("0.014")


def test_searches_without_a_price_make_the_cost_partial(cost: CostOf) -> None:
    bill = cost("vertex", "claude-haiku-4-5", input_tokens=1000, output_tokens=0, web_searches=1)
    assert (bill.cost_usd, bill.cost_status) == (mtok(1000, "1"), "partial")


def test_a_fee_per_request_is_charged_once(cost: CostOf) -> None:
    # docs.perplexity.ai, last published: sonar-pro 3 / 15 and 14 per 1,000 requests of high context
    counts = {"input_tokens": 1000, "output_tokens": 100, "web_searches": 2}
    bill = cost("perplexity", "sonar-pro", raw={"search_context_size": "high"}, **counts)
    assert bill.cost_usd == mtok(1000, "3") + mtok(100, "15") + Decimal("0.014")
    assert bill.cost_status == "priced"


def test_regional_endpoints_of_bedrock_are_told_by_the_requested_model(cost: CostOf) -> None:
    # aws.amazon.com/bedrock/pricing: Sonnet 4.5 global 3 / 15, regional a tenth more
    answered = "claude-sonnet-4-5-20250929"
    counts = {"input_tokens": 1000, "output_tokens": 0}
    name = "anthropic.claude-sonnet-4-5-20250929-v1%3A0"
    glob = cost("bedrock", f"global.{name}", response_model=answered, **counts)
    region = cost("bedrock", f"us.{name}", response_model=answered, **counts)
    profile = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.{name}"
    by_profile = cost("bedrock", profile, response_model=answered, **counts)
    assert glob.cost_usd == mtok(1000, "3")
    assert region.cost_usd == by_profile.cost_usd == mtok(1000, "3.30")


def test_the_reference_names_model_source_and_version(cost: CostOf) -> None:
    bill = cost("anthropic", "claude-sonnet-4-5-20250929", input_tokens=1, output_tokens=1)
    assert bill.price_ref is not None
    model, source = bill.price_ref.split(" ")
    assert model == "anthropic:claude-sonnet-4-5"
    assert source.startswith("genai-prices/")


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"),
        ("openai", "ft:gpt-9:acme::abc"),
        ("openai", None),
        ("ollama", "gpt-4o"),
        ("vllm", "deepseek-chat"),
        ("my-openai-vllm", "gpt-4o"),
        ("internal-gateway", "gpt-4o"),
        ("demo", "no-such-model"),
        ("", "gpt-4o"),
    ],
)
def test_what_no_price_knows_is_unpriced(cost: CostOf, provider: str, model: str | None) -> None:
    bill = cost(provider, model, input_tokens=1000, output_tokens=100)
    assert bill == Cost(cost_status="unpriced")


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai-eu", "gpt-4o"), ("team_openai", "gpt-4o"), ("azure-openai", "gpt-4o")],
)
def test_a_provider_named_after_a_known_one_bills_as_that_one(
    cost: CostOf, provider: str, model: str
) -> None:
    bill = cost(provider, model, input_tokens=1000, output_tokens=0)
    assert bill.cost_usd == mtok(1000, "2.50")
