"""Every class of usage, in dollars worked out by hand from the page on which its price stands.

Each case is one call and names its page, a key of `PAGES`. Prices in comments are dollars per
million tokens unless they say otherwise. What is said of a page is what a stored copy of it, or a
transcript where that is said, was seen to say; they bear no date of their own unless one is given.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from analytics.prices import Cost, PriceBook, PriceOverride
from analytics.pricing.counts import INPUT_CLASSES, OUTPUT_CLASSES, SEARCH, SOUND, UNITS, count
from proxy.facts import Pass, Usage
from proxy.wire.openai_usage import read_usage

CostOf = Callable[..., Cost]

OPENAI = "https://developers.openai.com/api/docs/models/"
PAGES = {
    "gpt-5": OPENAI + "gpt-5-codex, beside it GPT-5: 1.25, cached 0.125, output 10",
    "priority": "https://openai.com/api-priority-processing/: GPT-5 2.50 / 0.25 / 20, GPT-4.1 3.50 "
    "/ 0.875 / 14",
    "realtime": OPENAI + "gpt-realtime-1.5.md: text 4 / 0.40 / 16, sound 32 / 0.40 / 64, "
    "images 5 / 0.50",
    "audio": OPENAI + "gpt-4o-audio-preview.md: text 2.50 / 10, sound 40 / 80",
    "openai-2025": "https://platform.openai.com/docs/pricing, a transcript of late summer 2025: "
    "flex GPT-5 0.625 / 0.0625 / 5; gpt-4o-transcribe text 2.50 / 10, sound 6",
    "openai-tools": "https://openai.com/api/pricing, a copy from before 2026-03-31: a file search "
    "tool call 2.50 per 1,000",
    "image-1": OPENAI + "gpt-image-1, a copy from after 2026-10-23: text 5 / 1.25, images read "
    "10 / 2.50, made 40",
    "embedding-3": OPENAI + "text-embedding-3-large.md: 0.13",
    "whisper": OPENAI + "whisper-1.md: 0.006 a minute",
    "realtime-whisper": OPENAI + "gpt-realtime-whisper.md: 0.017 a minute",
    "tts": OPENAI + "tts-1: 15 per million characters, TTS-1 HD 30",
    "claude": "https://docs.anthropic.com/en/docs/about-claude/pricing and models/overview: "
    "Sonnet 4.5 3, writes 3.75 (5 minutes) and 6 (an hour), reads 0.30, output 15; batch: "
    "Sonnet 4 1.50 / 7.50, Haiku 3 0.125 / 0.625; long context: Sonnet 4 above 200K input tokens "
    "6 / 22.50",
    "claude-2026": "https://platform.claude.com/docs/en/about-claude/pricing, copied 2026-09-26: "
    "web search 10 per 1,000; fast mode Opus 4.8 10 / 50, cache multipliers on top (reads 0.1); "
    "inference_geo us 1.1 on tokens of every class, on top of fast mode too; from Claude 4.5 on a "
    "regional endpoint of Bedrock a tenth above the global one; Opus 5 5 / 25",
    "sonnet-5-5": "https://platform.claude.com/docs/zh-CN/models/sonnet-5-5/overview, a copy from "
    "before 2026-10-07: 2, writes 2.50 and 4, reads 0.20, output 10; batch half",
    "gemini-2025": "https://ai.google.dev/gemini-api/docs/pricing, a copy of spring 2025: 2.5 Pro "
    "1.25 / 10 up to 200k tokens of prompt and 2.50 / 15 above; grounding 35 per 1,000 requests; "
    "an image is 1,290 tokens at 30; 2.5 Flash Native Audio text 0.50 / 2, sound and film 3 / 12",
    "gemini-2026": "the same page, as transcribed on 2026-10-07: 2.5 Flash 0.30, sound 1.00; "
    "3 Pro Image, images made 120; Embedding 2 0.20; grounding from Gemini 3 on 14 per 1,000; "
    "3.8 Flash 0.75 / 3.75 through 2026-12-31, then 1.50 / 7.50",
    "deepseek-2025": "https://api-docs.deepseek.com/quick_start/pricing, a copy of August 2025: "
    "until 2025-09-05 16:00 UTC deepseek-chat 0.27 / 0.07 / 1.10, 16:30-00:30 UTC half; then both "
    "names 0.56 / 0.07 / 1.68",
    "deepseek-2026": "the same page in autumn 2026: deepseek-flash 0.15 / 0.003 / 0.60, "
    "deepseek-v4-pro 0.66 / 0.022 / 1.98, peak hours double",
    "sonar": "https://docs.perplexity.ai/docs/legacy/sonar/models/sonar: 1 / 1, and 5, 8 or 12 per "
    "1,000 requests (low, medium, high context); its own example: 9 in, 402 out, low",
    "grok-3": "https://docs.x.ai/docs/models, a copy of 2025-06-02: 3, cached 0.75, output 15",
    "groq-speech": "https://console.groq.com/docs/speech-text: whisper-large-v3-turbo 0.04 an hour",
    "voyage": "https://docs.voyageai.com/pricing: voyage-3 0.06",
}


class Call(NamedTuple):
    """What was called, what it used, and what the page says it costs."""

    name: str
    page: str
    provider: str
    model: str
    usd: str
    counts: dict[str, Any]
    more: dict[str, Any] = {}  # noqa: RUF012 - never changed


CALLS = [
    Call(
        "input, cached read, output",
        "gpt-5",
        *("openai", "gpt-5", "0.0020125"),
        {"input_tokens": 1100, "cache_read_tokens": 100, "output_tokens": 75},
    ),
    Call(
        "reasoning, which is output",
        "gpt-5",
        *("openai", "gpt-5", "0.01"),
        {"input_tokens": 0, "output_tokens": 1000, "reasoning_tokens": 900},
    ),
    Call(
        "writes for five minutes and for an hour",
        "claude",
        *("anthropic", "claude-sonnet-4-5", "0.01368"),
        {
            "input_tokens": 3600,
            "cache_read_tokens": 600,
            "cache_write_tokens": 2000,
            "cache_write_1h_tokens": 1000,
            "output_tokens": 50,
        },
    ),
    Call(
        "the longest prompt at the short price",
        "claude",
        *("anthropic", "claude-sonnet-4-20250514", "0.615"),
        {"input_tokens": 200_000, "output_tokens": 1000},
        {"at": datetime(2025, 11, 2, tzinfo=UTC)},
    ),
    Call(
        "a long prompt, most of it cached",
        "claude",
        *("anthropic", "claude-sonnet-4-20250514", "0.142506"),
        {"input_tokens": 200_001, "cache_read_tokens": 200_000, "output_tokens": 1000},
        {"at": datetime(2025, 11, 2, tzinfo=UTC)},
    ),
    Call(
        "a long prompt to Gemini",
        "gemini-2025",
        *("gemini", "gemini-2.5-pro", "0.76500"),
        {"input_tokens": 300_000, "output_tokens": 1000},
    ),
    Call(
        "batch",
        "claude",
        *("anthropic", "claude-3-haiku-20240307", "0.0001875"),
        {"input_tokens": 1000, "output_tokens": 100},
        {"tier": "batch"},
    ),
    Call(
        "batch and cache together",
        "sonnet-5-5",
        *("anthropic", "claude-sonnet-5-5", "0.00055"),
        {"input_tokens": 1000, "cache_read_tokens": 1000, "output_tokens": 90},
        {"tier": "batch", "at": datetime(2026, 10, 6, tzinfo=UTC)},
    ),
    Call(
        "flex, half of it cached",
        "openai-2025",
        *("openai", "gpt-5", "0.00084375"),
        {"input_tokens": 1000, "cache_read_tokens": 500, "output_tokens": 100},
        {"tier": "flex"},
    ),
    Call(
        "priority",
        "priority",
        *("openai", "gpt-5", "0.0045"),
        {"input_tokens": 1000, "output_tokens": 100},
        {"tier": "priority"},
    ),
    Call(
        "priority, half of it cached",
        "priority",
        *("openai", "gpt-4.1", "0.0035875"),
        {"input_tokens": 1000, "cache_read_tokens": 500, "output_tokens": 100},
        {"tier": "priority"},
    ),
    Call(
        "sound in and out",
        "realtime",
        *("openai", "gpt-realtime-1.5", "0.05284"),
        {
            "input_tokens": 1000,
            "audio_input_tokens": 800,
            "cache_read_tokens": 100,
            "cached_audio_input_tokens": 100,
            "output_tokens": 500,
            "audio_output_tokens": 450,
        },
    ),
    Call(
        "a live turn of sound, film and words",
        "gemini-2025",
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
    Call(
        "sound in chat completions",
        "audio",
        *("openai", "gpt-4o-audio-preview", "0.0526"),
        {
            "input_tokens": 1000,
            "audio_input_tokens": 900,
            "output_tokens": 235,
            "audio_output_tokens": 200,
        },
    ),
    Call(
        "sound read by Gemini",
        "gemini-2026",
        *("gemini", "gemini-2.5-flash", "0.00106"),
        {"input_tokens": 1200, "audio_input_tokens": 1000, "output_tokens": 0},
    ),
    Call(
        "images in and out",
        "image-1",
        *("openai", "gpt-image-1", "0.0433"),
        {
            "input_tokens": 460,
            "image_input_tokens": 200,
            "output_tokens": 1000,
            "image_output_tokens": 1000,
        },
        {"operation": "image_generation", "at": datetime(2026, 10, 1, tzinfo=UTC)},
    ),
    Call(
        "an image as part of an answer",
        "gemini-2025",
        *("gemini", "gemini-2.5-flash-image", "0.0387"),
        {"input_tokens": 0, "output_tokens": 1290, "image_output_tokens": 1290},
    ),
    Call(
        "an image of the next generation",
        "gemini-2026",
        *("gemini", "gemini-3-pro-image-preview", "0.12"),
        {"input_tokens": 0, "output_tokens": 1000, "image_output_tokens": 1000},
    ),
    Call(
        "searches",
        "claude-2026",
        *("anthropic", "claude-sonnet-4-5", "0.023"),
        {"input_tokens": 1000, "output_tokens": 0, "web_searches": 2},
    ),
    Call(
        "fast, half of it cached",
        "claude-2026",
        *("anthropic", "claude-opus-4-8", "0.0105"),
        {
            "input_tokens": 1000,
            "cache_read_tokens": 500,
            "output_tokens": 100,
            "raw": {"speed": "fast"},
        },
    ),
    Call(
        "kept in the United States",
        "claude-2026",
        *("anthropic", "claude-opus-5", "0.00825"),
        {"input_tokens": 1000, "output_tokens": 100, "raw": {"inference_geo": "us"}},
    ),
    Call(
        "fast, and kept in the United States",
        "claude-2026",
        *("anthropic", "claude-opus-4-8", "0.0165"),
        {
            "input_tokens": 1000,
            "output_tokens": 100,
            "raw": {"speed": "fast", "inference_geo": "us"},
        },
    ),
    Call(
        "searches are not dearer there",
        "claude-2026",
        *("anthropic", "claude-opus-5", "0.0155"),
        {
            "input_tokens": 1000,
            "output_tokens": 0,
            "web_searches": 1,
            "raw": {"inference_geo": "us"},
        },
    ),
    Call(
        "a regional endpoint",
        "claude-2026",
        *("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "0.00495"),
        {"input_tokens": 1000, "output_tokens": 100},
    ),
    Call(
        "a grounded prompt, however many searches",
        "gemini-2025",
        *("gemini", "gemini-2.5-flash", "0.035"),
        {"input_tokens": 0, "output_tokens": 0, "web_searches": 3},
    ),
    Call(
        "each search, from Gemini 3 on",
        "gemini-2026",
        *("gemini", "gemini-3-flash-preview", "0.042"),
        {"input_tokens": 0, "output_tokens": 0, "web_searches": 3},
    ),
    Call(
        "embeddings",
        "embedding-3",
        *("openai", "text-embedding-3-large", "0.000130"),
        {"input_tokens": 1000},
        {"operation": "embeddings"},
    ),
    Call(
        "embeddings of Gemini",
        "gemini-2026",
        *("gemini", "gemini-embedding-2", "0.0002"),
        {"input_tokens": 1000},
        {"operation": "embeddings"},
    ),
    Call(
        "embeddings of Voyage",
        "voyage",
        *("voyageai", "voyage-3", "0.00006"),
        {"input_tokens": 1000},
        {"operation": "embeddings"},
    ),
    Call(
        "transcription by the minute",
        "whisper",
        *("openai", "whisper-1", "0.009"),
        {"audio_seconds": 90},
        {"operation": "transcription"},
    ),
    Call(
        "transcription as it is spoken",
        "realtime-whisper",
        *("openai", "gpt-realtime-whisper", "0.017"),
        {"audio_seconds": 60},
        {"operation": "transcription"},
    ),
    Call(
        "transcription by the hour",
        "groq-speech",
        *("groq", "whisper-large-v3-turbo", "0.0004"),
        {"audio_seconds": 36.0},
        {"operation": "transcription"},
    ),
    # The model's own page has 2.50 under "Audio tokens", and no price of text.
    Call(
        "transcription by tokens",
        "openai-2025",
        *("openai", "gpt-4o-transcribe", "0.00875"),
        {"input_tokens": 1100, "audio_input_tokens": 1000, "output_tokens": 250},
        {"operation": "transcription"},
    ),
    Call(
        "speech by the character",
        "tts",
        *("openai", "tts-1", "0.0615"),
        {"units": {"input_characters": 4100}},
        {"operation": "speech"},
    ),
    Call(
        "better speech by the character",
        "tts",
        *("openai", "tts-1-hd", "0.03"),
        {"units": {"input_characters": 1000}},
        {"operation": "speech"},
    ),
    Call(
        "searches of files",
        "openai-tools",
        *("openai", "gpt-5", "0.00725"),
        {"input_tokens": 1000, "output_tokens": 100, "units": {"file_searches": 2}},
    ),
    Call(
        "a fee per request, as the page works it out",
        "sonar",
        *("perplexity", "sonar", "0.005411"),
        {"input_tokens": 9, "output_tokens": 402, "raw": {"search_context_size": "low"}},
    ),
    Call(
        "a fee per request with much context",
        "sonar",
        *("perplexity", "sonar", "0.0131"),
        {"input_tokens": 1000, "output_tokens": 100, "raw": {"search_context_size": "high"}},
    ),
    Call(
        "half price at night",
        "deepseek-2025",
        *("deepseek", "deepseek-chat", "0.00019"),
        {"input_tokens": 1000, "output_tokens": 100},
        {"at": datetime(2025, 9, 5, 0, 29, tzinfo=UTC)},
    ),
    Call(
        "no night any more",
        "deepseek-2025",
        *("deepseek", "deepseek-reasoner", "0.000483"),
        {"input_tokens": 1000, "cache_read_tokens": 500, "output_tokens": 100},
        {"at": datetime(2025, 9, 6, 17, tzinfo=UTC)},
    ),
    Call(
        "a peak hour",
        "deepseek-2026",
        *("deepseek", "deepseek-flash", "0.000273"),
        {"input_tokens": 1000, "cache_read_tokens": 500, "output_tokens": 100},
        {"at": datetime(2026, 11, 3, 3, 59, 59, tzinfo=UTC)},
    ),
    Call(
        "behind the peak",
        "deepseek-2026",
        *("deepseek", "deepseek-flash", "0.0001365"),
        {"input_tokens": 1000, "cache_read_tokens": 500, "output_tokens": 100},
        {"at": datetime(2026, 11, 3, 4, 0, 0, tzinfo=UTC)},
    ),
    Call(
        "a cache of another provider",
        "grok-3",
        *("xai", "grok-3", "0.002625"),
        {"input_tokens": 1000, "cache_read_tokens": 1000, "output_tokens": 125},
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
        used |= counts.units.keys()
    # Images read from a cache: few models have a price, and no answer counts them. Search units:
    # Cohere's page (2026-10-18) has no price for them, so only the user's own.
    without = {"cached_image_input", "search_units"}
    assert {*INPUT_CLASSES, *OUTPUT_CLASSES, SEARCH, SOUND, *UNITS} - used == without


def test_every_page_is_used_and_known() -> None:
    assert {call.page for call in CALLS} == PAGES.keys()


def test_a_price_that_is_announced_holds_from_its_day(cost: CostOf) -> None:
    # PAGES["gemini-2026"]
    for day, usd in (
        (datetime(2026, 12, 31, 23, tzinfo=UTC), "0.75"),
        (datetime(2027, 1, 1, tzinfo=UTC), "1.5"),
    ):
        bill = cost("gemini", "gemini-3.8-flash", at=day, input_tokens=10**6, output_tokens=0)
        assert bill.cost_usd == Decimal(usd)


@pytest.mark.parametrize(
    ("at", "usd"),
    [
        (datetime(2026, 8, 3, 2, tzinfo=UTC), "0.435"),  # a Monday before there were peaks
        (datetime(2026, 11, 6, 2, tzinfo=UTC), "1.32"),  # a Friday
        (datetime(2026, 11, 7, 2, tzinfo=UTC), "0.66"),  # a Saturday
        (datetime(2026, 11, 8, 7, tzinfo=UTC), "0.66"),  # a Sunday
        (datetime(2026, 11, 9, 7, tzinfo=UTC), "1.32"),  # a Monday
    ],
)
def test_peaks_have_their_days(cost: CostOf, at: datetime, usd: str) -> None:
    # PAGES["deepseek-2026"]; before 2026-08-16 the page had 0.435 at all hours
    bill = cost("deepseek", "deepseek-v4-pro", at=at, input_tokens=10**6, output_tokens=0)
    assert bill.cost_usd == Decimal(usd)


def test_an_amended_price_names_its_page(cost: CostOf) -> None:
    at = datetime(2025, 9, 10, tzinfo=UTC)
    bill = cost("deepseek", "deepseek-chat", at=at, input_tokens=1, output_tokens=1)
    assert bill.price_ref is not None
    assert bill.price_ref.endswith("from=2025-09-05 page=api-docs.deepseek.com")


@pytest.mark.parametrize(
    ("provider", "model", "operation", "counts", "missing"),
    [
        ("openai", "gpt-5", "chat", {"units": {"code_containers": 1}}, "code_containers"),
        ("openai", "gpt-5", "chat", {"units": {"generated_images": 2}}, "generated_images"),
        (
            "bedrock",
            "amazon.nova-lite-v1:0",
            "chat",
            {"units": {"guardrail_units": 3}},
            "guardrail",
        ),
        ("openai", "gpt-4o-search-preview", "chat", {}, "search"),
        ("perplexity", "sonar-pro", "chat", {}, "request"),
    ],
)
def test_what_is_billed_beside_tokens_and_has_no_price_makes_the_cost_partial(
    cost: CostOf, provider: str, model: str, operation: str, counts: dict[str, Any], missing: str
) -> None:
    tokens = {"input_tokens": 1000, "output_tokens": 100}
    bill = cost(provider, model, operation=operation, **tokens, **counts)
    assert bill.cost_status == "partial"
    assert bill.cost_usd
    assert f"missing={missing}" in (bill.price_ref or "")


@pytest.mark.parametrize(
    ("provider", "model", "operation", "counts"),
    [
        ("cohere", "rerank-v3.5", "rerank", {"units": {"search_units": 1}}),
        ("cohere", "command-r", "rerank", {"units": {"search_units": 1}}),
        ("openai", "gpt-4o-mini-tts", "speech", {"units": {"input_characters": 9}}),
        ("openai", "tts-1", "speech", {"input_tokens": 9, "output_tokens": 9}),
        ("azure", "gpt-4o", "chat", {"input_tokens": 9, "output_tokens": 0}),
    ],
)
def test_where_nothing_that_was_used_has_a_price_the_cost_is_unknown_and_not_zero(
    cost: CostOf, provider: str, model: str, operation: str, counts: dict[str, Any]
) -> None:
    tier = "batch" if provider == "azure" else None
    bill = cost(provider, model, operation=operation, tier=tier, **counts)
    assert (bill.cost_usd, bill.cost_status) == (None, "unpriced")


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
