"""Every class of usage, in dollars worked out by hand from the page on which its price stands.

Each case is one call. Prices are dollars per million tokens unless the comment says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from analytics.prices import Cost, PriceBook, PriceOverride
from analytics.pricing.counts import INPUT_CLASSES, OUTPUT_CLASSES, SEARCH, SOUND, count
from proxy.facts import Pass, Usage
from proxy.wire.openai_usage import read_usage

CostOf = Callable[..., Cost]


class Call(NamedTuple):
    """What was called, what it used, and what the page says it costs."""

    name: str
    provider: str
    model: str
    usd: str
    counts: dict[str, int | float]
    more: dict[str, Any] = {}  # noqa: RUF012 - never changed


CALLS = [
    # openai.com/api/pricing: gpt-4o 2.50, cached 1.25, output 10
    Call(
        "input, cached read, output",
        *("openai", "gpt-4o", "0.003375"),
        {"input_tokens": 1100, "cache_read_tokens": 100, "output_tokens": 75},
    ),
    # openai.com/api/pricing: o4-mini output 4.40, reasoning counted in it
    Call(
        "reasoning",
        *("openai", "o4-mini", "0.0044"),
        {"input_tokens": 0, "output_tokens": 1000, "reasoning_tokens": 900},
    ),
    # claude.com/pricing: Sonnet 4.5 3 / 15, cache writes 3.75 (5 min) and 6 (1 h), reads 0.30
    Call(
        "writes for five minutes and for an hour",
        *("anthropic", "claude-sonnet-4-5", "0.01368"),
        {
            "input_tokens": 3600,
            "cache_read_tokens": 600,
            "cache_write_tokens": 2000,
            "cache_write_1h_tokens": 1000,
            "output_tokens": 50,
        },
    ),
    # ai.google.dev/pricing: Gemini 2.5 Pro beyond 200,000 tokens 2.50 / 15
    Call(
        "a long prompt",
        *("gemini", "gemini-2.5-pro", "0.76500"),
        {"input_tokens": 300_000, "output_tokens": 1000},
    ),
    # openai.com/api/pricing, Batch: gpt-4o 1.25 / 5
    Call(
        "batch",
        *("openai", "gpt-4o", "0.00175"),
        {"input_tokens": 1000, "output_tokens": 100},
        {"tier": "batch"},
    ),
    # platform.openai.com/docs/pricing, Flex: gpt-5 0.625 / 5
    Call(
        "flex",
        *("openai", "gpt-5", "0.001125"),
        {"input_tokens": 1000, "output_tokens": 100},
        {"tier": "flex"},
    ),
    # platform.openai.com/docs/pricing, Priority: gpt-5 2.50 / 20
    Call(
        "priority",
        *("openai", "gpt-5", "0.0045"),
        {"input_tokens": 1000, "output_tokens": 100},
        {"tier": "priority"},
    ),
    # platform.openai.com/docs/pricing: gpt-realtime text 4 / 16, audio 32 / 64, cached audio 0.40
    Call(
        "sound in and out",
        *("openai", "gpt-realtime", "0.05284"),
        {
            "input_tokens": 1000,
            "audio_input_tokens": 800,
            "cache_read_tokens": 100,
            "cached_audio_input_tokens": 100,
            "output_tokens": 500,
            "audio_output_tokens": 450,
        },
    ),
    # ai.google.dev/pricing: Gemini 2.5 Flash Native Audio text 0.50 / 2, sound and film 3 / 12
    Call(
        "a live turn of sound, film and words",
        *("gemini", "gemini-2.5-flash-native-audio-preview-09-2025", "0.0082"),
        {
            "input_tokens": 1800,
            "audio_input_tokens": 800,
            "image_input_tokens": 600,
            "output_tokens": 400,
            "audio_output_tokens": 300,
        },
        {"operation": "realtime"},
    ),
    # platform.openai.com/docs/pricing: gpt-image-1 text 5, images read 10, images made 40
    Call(
        "images in and out",
        *("openai", "gpt-image-1", "0.0433"),
        {
            "input_tokens": 460,
            "image_input_tokens": 200,
            "output_tokens": 1000,
            "image_output_tokens": 1000,
        },
        {"operation": "image_generation"},
    ),
    # ai.google.dev/pricing: Gemini 2.5 Flash Image, images made 30, text in 0.30
    Call(
        "an image as part of an answer",
        *("gemini", "gemini-2.5-flash-image", "0.03873"),
        {"input_tokens": 100, "output_tokens": 1290, "image_output_tokens": 1290},
    ),
    # claude.com/pricing: web search 10 per 1,000
    Call(
        "searches",
        *("anthropic", "claude-sonnet-4-5", "0.023"),
        {"input_tokens": 1000, "output_tokens": 0, "web_searches": 2},
    ),
    # openai.com/api/pricing: text-embedding-3-large 0.13
    Call(
        "embeddings",
        *("openai", "text-embedding-3-large", "0.000130"),
        {"input_tokens": 1000},
        {"operation": "embeddings"},
    ),
    # platform.openai.com/docs/pricing: whisper-1 0.006 a minute
    Call(
        "transcription by the minute",
        *("openai", "whisper-1", "0.009"),
        {"audio_seconds": 90},
        {"operation": "transcription"},
    ),
    # groq.com/pricing: whisper-large-v3-turbo 0.04 an hour
    Call(
        "transcription by the hour",
        *("groq", "whisper-large-v3-turbo", "0.0004"),
        {"audio_seconds": 36.0},
        {"operation": "transcription"},
    ),
    # platform.openai.com/docs/pricing: gpt-4o-transcribe audio 6, text in 2.50, out 10
    Call(
        "transcription by tokens",
        *("openai", "gpt-4o-transcribe", "0.00875"),
        {"input_tokens": 1100, "audio_input_tokens": 1000, "output_tokens": 250},
        {"operation": "transcription"},
    ),
    # docs.perplexity.ai/getting-started/pricing: sonar 1 / 1, 12 per 1,000 requests (high context)
    Call(
        "a fee per request",
        *("perplexity", "sonar", "0.0131"),
        {"input_tokens": 1000, "output_tokens": 100},
    ),
    # docs.voyageai.com/docs/pricing: voyage-3.5 0.06
    Call(
        "embeddings of another provider",
        *("voyageai", "voyage-3.5", "0.00006"),
        {"input_tokens": 1000},
        {"operation": "embeddings"},
    ),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_call_costs_what_the_page_says(cost: CostOf, call: Call) -> None:
    bill = cost(call.provider, call.model, **call.more, **call.counts)
    assert (bill.cost_usd, bill.cost_status) == (Decimal(call.usd), "priced")


def test_every_class_has_a_call() -> None:
    used: set[str] = set()
    for call in CALLS:
        counts = count(Usage(**call.counts))
        used |= counts.input.keys() | counts.output.keys()
        used |= {SEARCH} if counts.searches else set()
        used |= {SOUND} if counts.audio_seconds else set()
    # Images read from a cache: gpt-image-1 alone has a price, and no answer counts them.
    assert {*INPUT_CLASSES, *OUTPUT_CLASSES, SEARCH, SOUND} - used == {"cached_image_input"}


def test_a_pass_of_another_model_costs_that_models_price(cost: CostOf) -> None:
    # claude.com/pricing: Sonnet 4.5 3 / 15, Opus 4.5 5 / 25
    advice = Pass(
        model="claude-opus-4-5-20251101", usage=Usage(input_tokens=1000, output_tokens=100)
    )
    counts: dict[str, Any] = {"input_tokens": 3000, "output_tokens": 300, "passes": (advice,)}
    bill = cost("anthropic", "claude-sonnet-4-5", **counts)
    assert bill.cost_usd == Decimal("0.006") + Decimal("0.003") + Decimal("0.0075")


def test_a_routers_own_figure_stands(cost: CostOf) -> None:
    # openrouter.ai/docs/use-cases/usage-accounting: `cost` is what the account is charged
    usage = read_usage({"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.00014})
    assert usage is not None
    bill = cost("openrouter", "openai/gpt-4o", cost_usd=usage.cost_usd)
    assert (bill.cost_usd, bill.cost_status) == (Decimal("0.00014"), "provider_reported")


@pytest.mark.parametrize(("fee", "usd"), [(0, "0.0035"), (0.000175, "0.003675")])
def test_with_ones_own_key_the_upstreams_cost_is_added_to_the_fee(
    cost: CostOf, fee: float, usd: str
) -> None:
    # openrouter.ai/docs/use-cases/byok: a fee of 5 %, beside what the provider charges
    usage = read_usage(
        {
            "prompt_tokens": 1000,
            "completion_tokens": 100,
            "cost": fee,
            "is_byok": True,
            "cost_details": {"upstream_inference_cost": 0.0035},
        }
    )
    assert usage is not None
    bill = cost("openrouter", "openai/gpt-4o", cost_usd=usage.cost_usd)
    assert (bill.cost_usd, bill.cost_status) == (Decimal(usd), "provider_reported")


def test_a_price_of_ones_own_goes_first(cost: CostOf) -> None:
    own = PriceOverride(
        model="gpt-4o*", input_usd_per_mtok=Decimal(1), output_usd_per_mtok=Decimal(2)
    )
    bill = cost("openai", "gpt-4o", book=PriceBook([own]), input_tokens=1000, output_tokens=1000)
    assert bill.cost_usd == Decimal("0.003")


@pytest.mark.parametrize(
    ("day", "usd"),
    # openai.com/index/o3: from 10 June 2025 o3 costs 2 / 8, before 10 / 40
    [
        (datetime(2025, 6, 9, 23, tzinfo=UTC), "0.014"),
        (datetime(2025, 6, 10, tzinfo=UTC), "0.0028"),
    ],
)
def test_a_price_that_changed_holds_from_its_day(cost: CostOf, day: datetime, usd: str) -> None:
    assert cost("openai", "o3", at=day, input_tokens=1000, output_tokens=100).cost_usd == Decimal(
        usd
    )


def test_sound_of_unknown_length_has_no_price(cost: CostOf) -> None:
    bill = cost("openai", "whisper-1", operation="transcription", input_tokens=100)
    assert (bill.cost_usd, bill.cost_status) == (None, "unpriced")
